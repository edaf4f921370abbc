//! Owns the list of rules and what each weighs: one row a rule.
//!
//! A rule looks at a case for one thing and says it in a sentence with this incident's own numbers, or is silent. To
//! add one, write a function beside its like, a row here, and a story in `stories` that asks for it. Those that read what
//! checks have measured stand in `probe`, and their rows say `check`.

mod beside;
mod connect;
mod exchange;
mod gateway;
mod h2;
mod history;
pub(super) mod probe;
mod resolve;
mod response;
mod reuse;
mod tls;

use std::time::Duration;

use super::Case;
use super::Cause;
use super::Cause::Application;
use super::Cause::Dns;
use super::Cause::FaultyProxy;
use super::Cause::Firewall;
use super::Cause::Network;
use super::Cause::OriginDown;
use super::Cause::Overload;
use super::Cause::Tls;
use super::Evidence;
use super::command::printable;
use super::wording::counted;
use crate::fault::Failure;
use crate::fault::failure::TransportEvidence;

/// One thing to look for in a case.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its stable name, which is that of its function.
    pub id: &'static str,
    /// The cause that it points to.
    pub points_to: Cause,
    /// How much it adds to that cause, as a logarithm of odds: 0.7 doubles them, 2.3 makes them ten times as high.
    pub weight: f64,
    /// Whether it reads what a check has measured, not what the failure itself shows.
    pub measured: bool,
    /// The sentence, where the case shows what the rule looks for.
    pub look: fn(&Case) -> Option<String>,
}

/// What speaks for the causes in this case, weightiest first.
#[must_use]
pub fn evidence(case: &Case) -> Vec<Evidence> {
    let mut found: Vec<Evidence> = RULES.iter().filter_map(|rule| rule.evidence(case)).collect();
    found.sort_by(|one, other| other.weight.abs().total_cmp(&one.weight.abs()));
    found
}

/// The weightiest that a check has measured for this cause, where it weighs enough to be told first.
#[must_use]
pub fn most_telling(evidence: &[Evidence], cause: Cause) -> Option<&Evidence> {
    let measured = |found: &Evidence| RULES.iter().any(|rule| rule.measured && rule.id == found.id);
    evidence.iter().find(|found| found.points_to == cause && found.weight >= TELLING && measured(found))
}

impl Rule {
    fn evidence(&self, case: &Case) -> Option<Evidence> {
        // Servers, certificates and names speak in these sentences, and are not to write over what stands around them.
        let says = printable(&(self.look)(case)?);
        Some(Evidence { id: self.id, says, points_to: self.points_to, weight: self.weight })
    }
}

/// Every rule, in the order in which an exchange passes what they look at.
pub const RULES: &[Rule] = &[
    rule("name_server_said", Dns, 1.0, resolve::name_server_said),
    rule("name_without_addresses", Dns, 1.0, resolve::name_without_addresses),
    rule("service_not_offered", Dns, 1.5, resolve::service_not_offered),
    rule("dangling_alias", Dns, 1.2, resolve::dangling_alias),
    rule("dnssec_failed", Dns, 1.5, resolve::dnssec_failed),
    rule("name_filtered", Firewall, 1.6, resolve::name_filtered),
    rule("zone_servers_silent", Dns, 1.0, resolve::zone_servers_silent),
    rule("lookup_packet_lost", Network, 1.6, resolve::lookup_packet_lost),
    rule("name_servers_disagree", Dns, 0.8, resolve::name_servers_disagree),
    rule("bare_name", Dns, 0.4, resolve::bare_name),
    rule("container_name_unknown", FaultyProxy, 1.0, resolve::container_name_unknown),
    rule("private_name_asked_in_public", FaultyProxy, 1.3, resolve::private_name_asked_in_public),
    rule("name_server_not_listening", Dns, 0.8, resolve::name_server_not_listening),
    rule("own_name_server_not_listening", FaultyProxy, 1.2, resolve::own_name_server_not_listening),
    rule("name_server_unroutable", Network, 1.6, resolve::name_server_unroutable),
    rule("name_servers_silent", Firewall, 0.4, resolve::name_servers_silent),
    rule("port_closed_host_alive", OriginDown, 0.6, connect::port_closed_host_alive),
    rule("refused_by_filter", Firewall, 5.0, connect::refused_by_filter),
    rule("name_leads_here", Dns, 5.6, connect::name_leads_here),
    rule("socket_left_behind", OriginDown, 1.2, connect::socket_left_behind),
    rule("localhost_in_container", FaultyProxy, 1.3, connect::localhost_in_container),
    rule("one_loopback_family", FaultyProxy, 1.0, connect::one_loopback_family),
    rule("own_address_refused", FaultyProxy, 1.8, connect::own_address_refused),
    rule("all_addresses_refused", OriginDown, 0.5, connect::all_addresses_refused),
    rule("every_server_refused", OriginDown, 0.6, connect::every_server_refused),
    rule("addresses_differ", Dns, 2.2, connect::addresses_differ),
    rule("rejected_at_once", Firewall, 2.0, connect::rejected_at_once),
    rule("host_silent_on_its_network", OriginDown, 1.2, connect::host_silent_on_its_network),
    rule("host_present_port_silent", Firewall, 1.0, connect::host_present_port_silent),
    rule("all_addresses_silent", Firewall, 0.5, connect::all_addresses_silent),
    rule("container_network_foreign", FaultyProxy, 2.2, connect::container_network_foreign),
    rule("private_network_foreign", Network, 0.5, connect::private_network_foreign),
    rule("connect_limit_below_repeat", FaultyProxy, 1.0, connect::connect_limit_below_repeat),
    rule("no_route_here", Network, 0.8, connect::no_route_here),
    rule("no_ipv6_here", FaultyProxy, 0.6, connect::no_ipv6_here),
    rule("own_firewall_forbids", Firewall, 1.8, connect::own_firewall_forbids),
    rule("own_policy_forbids", Firewall, 1.0, connect::own_policy_forbids),
    rule("local_ports_used_up", FaultyProxy, 1.0, connect::local_ports_used_up),
    rule("descriptors_used_up", FaultyProxy, 1.0, connect::descriptors_used_up),
    rule("socket_not_created", OriginDown, 0.5, connect::socket_not_created),
    rule("socket_not_mounted", FaultyProxy, 0.8, connect::socket_not_mounted),
    rule("socket_not_permitted", FaultyProxy, 0.8, connect::socket_not_permitted),
    rule("backlog_full", Overload, 1.2, connect::backlog_full),
    rule("certificate_expired", Tls, 1.5, tls::certificate_expired),
    rule("certificate_in_future", Tls, 0.5, tls::certificate_in_future),
    rule("own_clock_unset", FaultyProxy, 4.0, tls::own_clock_unset),
    rule("own_clock_behind", FaultyProxy, 1.2, tls::own_clock_behind),
    rule("certificate_for_other_name", Tls, 0.8, tls::certificate_for_other_name),
    rule("certificate_asked_by_address", FaultyProxy, 1.0, tls::certificate_asked_by_address),
    rule("default_certificate", FaultyProxy, 0.8, tls::default_certificate),
    rule("certificate_self_signed", Tls, 0.8, tls::certificate_self_signed),
    rule("chain_incomplete", Tls, 1.2, tls::chain_incomplete),
    rule("issuer_unknown", Tls, 0.5, tls::issuer_unknown),
    rule("client_certificate_required", Tls, 1.5, tls::client_certificate_required),
    rule("client_certificate_refused", Tls, 1.5, tls::client_certificate_refused),
    rule("server_name_unknown", Tls, 0.6, tls::server_name_unknown),
    rule("server_name_missing", FaultyProxy, 1.4, tls::server_name_missing),
    rule("tls_version_refused", Tls, 1.5, tls::tls_version_refused),
    rule("nothing_in_common", Tls, 0.8, tls::nothing_in_common),
    rule("alpn_refused", FaultyProxy, 2.4, tls::alpn_refused),
    rule("alert_internal_error", Application, 1.5, tls::alert_internal_error),
    rule("plain_on_tls", FaultyProxy, 1.8, tls::plain_on_tls),
    rule("foreign_protocol_on_tls", FaultyProxy, 1.8, tls::foreign_protocol_on_tls),
    rule("hello_cut_at_once", FaultyProxy, 0.6, tls::hello_cut_at_once),
    rule("hello_unacknowledged", Network, 2.4, tls::hello_unacknowledged),
    rule("hello_unanswered", FaultyProxy, 0.5, tls::hello_unanswered),
    rule("keepalive_race", FaultyProxy, 1.9, reuse::keepalive_race),
    rule("keepalive_race_late", FaultyProxy, 0.8, reuse::keepalive_race_late),
    rule("idle_at_announced_limit", FaultyProxy, 2.4, reuse::idle_at_announced_limit),
    rule("idle_far_below_announced_limit", Application, 2.2, reuse::idle_far_below_announced_limit),
    rule("idle_at_usual_limit", FaultyProxy, 1.0, reuse::idle_at_usual_limit),
    rule("idle_connection_forgotten", Firewall, 3.8, reuse::idle_connection_forgotten),
    rule("failed_on_fresh_connection_too", Application, 1.6, reuse::failed_on_fresh_connection_too),
    rule("crashed_on_request", Application, 4.2, reuse::crashed_on_request),
    rule("ended_between_attempts", OriginDown, 1.2, reuse::ended_between_attempts),
    rule("worker_timeout", Application, 1.4, exchange::worker_timeout),
    rule("closed_while_working", Application, 0.9, exchange::closed_while_working),
    rule("closed_at_once", FaultyProxy, 0.6, exchange::closed_at_once),
    rule("turned_away_while_busy", Overload, 3.2, exchange::turned_away_while_busy),
    rule("reset_at_once", Firewall, 0.7, exchange::reset_at_once),
    rule("head_cut_short", Application, 1.2, exchange::head_cut_short),
    rule("port_of_other_protocol", FaultyProxy, 2.2, exchange::port_of_other_protocol),
    rule("upgrade_hung_up", FaultyProxy, 0.7, exchange::upgrade_hung_up),
    rule("upload_cut_short", Application, 0.9, exchange::upload_cut_short),
    rule("program_not_reading", Application, 1.0, exchange::program_not_reading),
    rule("large_packets_lost", Network, 5.0, exchange::large_packets_lost),
    rule("request_unacknowledged", Network, 4.5, exchange::request_unacknowledged),
    rule("request_never_arrived", Application, -3.0, exchange::request_never_arrived),
    rule("answer_lost_in_part", Network, 5.0, exchange::answer_lost_in_part),
    rule("request_arrived", Application, 0.5, exchange::request_arrived),
    rule("connecting_was_slow", Overload, 1.2, exchange::connecting_was_slow),
    rule("every_server_slow", Overload, 0.9, exchange::every_server_slow),
    rule("tls_on_plain", FaultyProxy, 2.2, response::tls_on_plain),
    rule("h2_only", FaultyProxy, 2.2, response::h2_only),
    rule("h2_calm_down", Overload, 3.6, h2::h2_calm_down),
    rule("h2_stream_not_taken", Overload, 1.6, h2::h2_stream_not_taken),
    rule("h2_closing_in_order", OriginDown, 3.0, h2::h2_closing_in_order),
    rule("h2_wants_http1", FaultyProxy, 2.8, h2::h2_wants_http1),
    rule("h2_internal_error", Application, 1.8, h2::h2_internal_error),
    rule("h2_given_up", Application, 1.0, h2::h2_given_up),
    rule("h2_blames_proxy", FaultyProxy, 1.0, h2::h2_blames_proxy),
    rule("h2_rules_broken", FaultyProxy, 0.6, h2::h2_rules_broken),
    rule("http1_only", FaultyProxy, 2.4, h2::http1_only),
    rule("no_alpn", FaultyProxy, 2.2, h2::no_alpn),
    rule("speaks_other_protocol", FaultyProxy, 2.2, response::speaks_other_protocol),
    rule("answer_without_head", Application, 1.6, response::answer_without_head),
    rule("answer_almost_http", Application, 2.2, response::answer_almost_http),
    rule("conflicting_framing", Application, 1.0, response::conflicting_framing),
    rule("malformed_head", Application, 0.6, response::malformed_head),
    rule("cookies_fill_head", Application, 1.2, response::cookies_fill_head),
    rule("head_over_limit", Application, 0.4, response::head_over_limit),
    rule("header_limit_small", FaultyProxy, 2.0, response::header_limit_small),
    rule("switched_to_other_protocol", Application, 0.8, response::switched_to_other_protocol),
    rule("body_cut_short", Application, 0.7, response::body_cut_short),
    rule("body_cut_at_buffer", FaultyProxy, 1.6, response::body_cut_at_buffer),
    rule("body_reset", Network, 0.8, response::body_reset),
    rule("body_stopped", Application, 0.5, response::body_stopped),
    rule("chunk_broken", Application, 0.8, response::chunk_broken),
    check("name_resolves_now", Dns, 0.8, probe::name::name_resolves_now),
    check("only_some_name_servers_know", Dns, 1.2, probe::name::only_some_name_servers_know),
    check("name_servers_give_other_addresses", Dns, 3.8, probe::name::name_servers_give_other_addresses),
    check("every_name_server_says_so", Dns, 0.5, probe::name::every_name_server_says_so),
    check("absolute_name_works", Dns, 1.2, probe::name::absolute_name_works),
    check("alias_ends_nowhere", Dns, 0.8, probe::name::alias_ends_nowhere),
    check("hosts_file_differs", Dns, 4.5, probe::name::hosts_file_differs),
    check("address_out_of_date", Dns, 4.5, probe::name::address_out_of_date),
    check("current_address_answers", Dns, 2.5, probe::name::current_address_answers),
    check("former_address_answers", Dns, 5.5, probe::name::former_address_answers),
    check("server_alive_elsewhere", OriginDown, -3.5, probe::name::server_alive_elsewhere),
    rule("address_never_worked", OriginDown, -1.5, probe::name::address_never_worked),
    check("former_address_dead_too", Dns, -0.8, probe::name::former_address_dead_too),
    check("http_on_other_port", FaultyProxy, 3.0, probe::port::http_on_other_port),
    check("http_on_usual_port", FaultyProxy, 2.2, probe::port::http_on_usual_port),
    check("http_moved_to_other_port", OriginDown, 0.4, probe::port::http_moved_to_other_port),
    check("gateway_beside_fails_too", OriginDown, 1.0, probe::port::gateway_beside_fails_too),
    check("host_alive_beside", OriginDown, 0.9, probe::port::host_alive_beside),
    check("every_port_refuses", OriginDown, 0.7, probe::port::every_port_refuses),
    check("listens_again", OriginDown, 1.6, probe::port::listens_again),
    check("still_refused", OriginDown, 0.9, probe::port::still_refused),
    check("listens_elsewhere", FaultyProxy, 3.2, probe::port::listens_elsewhere),
    check("nothing_listens_here", OriginDown, 1.2, probe::port::nothing_listens_here),
    check("refused_though_listening", Firewall, 4.2, probe::port::refused_though_listening),
    check("only_this_port_silent", Firewall, 2.4, probe::port::only_this_port_silent),
    check("port_among_silent_ones", Firewall, 1.6, probe::port::port_among_silent_ones),
    check("silent_under_load", Overload, 3.0, probe::port::silent_under_load),
    check("echo_but_no_port", Firewall, 1.4, probe::port::echo_but_no_port),
    check("accepted_now", Firewall, -1.6, probe::port::accepted_now),
    check("name_server_host_alive", Firewall, 0.9, probe::port::name_server_host_alive),
    check("neighbour_unanswered", OriginDown, 3.0, probe::path::neighbour_unanswered),
    check("nobody_there_to_filter", Firewall, -1.5, probe::path::nobody_there_to_filter),
    check("neighbour_known", Firewall, 1.5, probe::path::neighbour_known),
    check("near_host_silent", OriginDown, 0.9, probe::path::near_host_silent),
    check("far_host_silent", OriginDown, 0.8, probe::path::far_host_silent),
    check("far_path_silent", Network, 0.9, probe::path::far_path_silent),
    check("not_this_port_alone", Firewall, -0.6, probe::path::not_this_port_alone),
    check("packets_lost_in_part", Network, 2.6, probe::path::packets_lost_in_part),
    check("port_accepts_in_part", Overload, 1.8, probe::path::port_accepts_in_part),
    check("reachable_again", Network, 0.9, probe::path::reachable_again),
    rule("answered_in_between", Firewall, -0.7, probe::path::answered_in_between),
    rule("connected_in_between", Firewall, -2.2, probe::path::connected_in_between),
    rule("comes_and_goes", Network, 0.8, probe::path::comes_and_goes),
    rule("connections_come_and_go", Network, 1.8, probe::path::connections_come_and_go),
    check("no_route_still", Network, 0.6, probe::path::no_route_still),
    check("every_port_unreachable", OriginDown, 0.7, probe::path::every_port_unreachable),
    check("name_server_host_silent", Dns, 0.6, probe::path::name_server_host_silent),
    check("certificate_presented", Tls, 0.3, probe::certificate::certificate_presented),
    check("presented_certificate_expired", Tls, 1.5, probe::certificate::presented_certificate_expired),
    check("certificate_differs_now", Tls, 0.4, probe::certificate::certificate_differs_now),
    check("certificate_depends_on_name", Tls, 0.6, probe::certificate::certificate_depends_on_name),
    check("handshake_needs_name", Tls, 1.2, probe::certificate::handshake_needs_name),
    check("port_speaks_tls", FaultyProxy, 3.6, probe::talk::port_speaks_tls),
    check("port_speaks_http2", FaultyProxy, 3.4, probe::talk::port_speaks_http2),
    check("port_wants_proxy_header", FaultyProxy, 3.6, probe::talk::port_wants_proxy_header),
    check("port_speaks_redis", FaultyProxy, 3.6, probe::talk::port_speaks_redis),
    check("port_speaks_fastcgi", FaultyProxy, 3.6, probe::talk::port_speaks_fastcgi),
    check("port_speaks_another_protocol", FaultyProxy, 3.4, probe::talk::port_speaks_another_protocol),
    check("port_speaks_plain_http", FaultyProxy, 3.0, probe::talk::port_speaks_plain_http),
    check("port_speaks_http1_only", FaultyProxy, 2.4, probe::talk::port_speaks_http1_only),
    check("other_path_works", Application, 1.6, probe::talk::other_path_works),
    check("other_path_is_quick", Application, 2.2, probe::talk::other_path_is_quick),
    check("reset_in_passing", Firewall, 1.9, probe::talk::reset_in_passing),
    check("fresh_connection_works", FaultyProxy, 0.8, probe::talk::fresh_connection_works),
    check("port_is_mute", Application, 1.3, probe::talk::port_is_mute),
    check("every_request_cut_off", FaultyProxy, 0.9, probe::talk::every_request_cut_off),
    check("no_request_survives", Application, 0.7, probe::talk::no_request_survives),
    check("refused_since", Application, 0.9, probe::talk::refused_since),
    check("hangs_without_load", Application, 1.3, probe::talk::hangs_without_load),
    check("hangs_under_load", Overload, 1.8, probe::talk::hangs_under_load),
    check("slow_on_every_path", Overload, 1.8, probe::talk::slow_on_every_path),
    check("same_path_works_again", Overload, 0.8, probe::talk::same_path_works_again),
    check("small_request_passes", Network, 1.5, probe::talk::small_request_passes),
    check("socket_folder_empty", OriginDown, 0.8, probe::local::socket_folder_empty),
    check("socket_folder_missing", FaultyProxy, 1.3, probe::local::socket_folder_missing),
    check("socket_is_another_file", FaultyProxy, 2.4, probe::local::socket_is_another_file),
    check("socket_mode_forbids", FaultyProxy, 1.0, probe::local::socket_mode_forbids),
    check("socket_hidden", FaultyProxy, 0.8, probe::local::socket_hidden),
    check("socket_nobody_listens", OriginDown, 1.0, probe::local::socket_nobody_listens),
    check("socket_back", OriginDown, 1.6, probe::local::socket_back),
    check("accept_queue_full", Overload, 3.0, probe::local::accept_queue_full),
    check("accept_queue_fills", Overload, 1.2, probe::local::accept_queue_fills),
    check("process_stopped", Application, 3.4, probe::local::process_stopped),
    check("process_blocked", Application, 1.4, probe::local::process_blocked),
    check("process_ended", OriginDown, 1.5, probe::local::process_ended),
    check("killed_for_memory", Application, 1.8, probe::local::killed_for_memory),
    check("killed_and_gone", OriginDown, 0.8, probe::local::killed_and_gone),
    check("own_listener", FaultyProxy, 3.5, probe::local::own_listener),
    check("own_descriptors_short", FaultyProxy, 1.5, probe::local::own_descriptors_short),
    check("own_ports_short", FaultyProxy, 1.2, probe::local::own_ports_short),
    check("shared_host_overloaded", Overload, 1.4, probe::local::shared_host_overloaded),
    check("own_host_overloaded", FaultyProxy, 0.9, probe::local::own_host_overloaded),
    rule("first_failure_refused", OriginDown, 1.0, gateway::first_failure_refused),
    rule("first_failure_silent", Firewall, 3.0, gateway::first_failure_silent),
    rule("first_failure_lookup", Dns, 5.6, gateway::first_failure_lookup),
    rule("first_failure_tls", Tls, 6.0, gateway::first_failure_tls),
    rule("first_failure_broken", Application, 2.8, gateway::first_failure_broken),
    rule("check_answered", OriginDown, -2.5, gateway::check_answered),
    rule("check_refused", FaultyProxy, 2.6, gateway::check_refused),
    rule("check_failed", Application, 1.8, gateway::check_failed),
    rule("limit_reached", Overload, 0.8, gateway::limit_reached),
    rule("leads_to_itself", FaultyProxy, 1.0, gateway::leads_to_itself),
    rule("next_hop_refused", OriginDown, 1.8, gateway::next_hop_refused),
    rule("next_hop_without_server", OriginDown, 1.6, gateway::next_hop_without_server),
    rule("next_hop_silent", Firewall, 4.0, gateway::next_hop_silent),
    rule("next_hop_name_lost", Dns, 5.8, gateway::next_hop_name_lost),
    rule("next_hop_tls", Tls, 6.0, gateway::next_hop_tls),
    rule("next_hop_slow", Application, 0.6, gateway::next_hop_slow),
    rule("next_hop_slow_all_the_same", Application, 1.2, gateway::next_hop_slow_all_the_same),
    rule("next_hop_took_request", OriginDown, -1.5, gateway::next_hop_took_request),
    rule("says_database_gone", Application, 2.2, gateway::says_database_gone),
    rule("next_hop_broken", Application, 1.6, gateway::next_hop_broken),
    rule("next_gateway_faulty", FaultyProxy, 2.2, gateway::next_gateway_faulty),
    rule("says_busy", Overload, 2.4, gateway::says_busy),
    rule("turns_away", Overload, 1.1, gateway::turns_away),
    rule("gateway_holds_others", Overload, 2.4, gateway::gateway_holds_others),
    rule("gateway_holds_others_still", OriginDown, -1.5, gateway::gateway_holds_others_still),
    rule("says_maintenance", OriginDown, 2.4, gateway::says_maintenance),
    rule("shed_with_retry_after", Overload, 1.0, gateway::shed_with_retry_after),
    rule("gateway_gave_up_at_once", OriginDown, 0.8, gateway::gateway_gave_up_at_once),
    rule("gateway_waited_first", Application, 1.7, gateway::gateway_waited_first),
    rule("one_path_behind_gateway", Application, 1.3, gateway::one_path_behind_gateway),
    rule("application_server_said", Application, 1.6, gateway::application_server_said),
    rule("worked_until", OriginDown, 0.8, history::worked_until),
    rule("worked_as_configured", FaultyProxy, -1.5, history::worked_as_configured),
    rule("never_worked", FaultyProxy, 2.1, history::never_worked),
    rule("not_worked_yet", FaultyProxy, 0.3, history::not_worked_yet),
    rule("only_this_path_breaks", Application, 1.1, beside::only_this_path_breaks),
    rule("path_ends_fresh_connections_too", Application, 3.0, beside::path_ends_fresh_connections_too),
    rule("path_is_reset_on_any_connection", Firewall, 4.5, beside::path_is_reset_on_any_connection),
    rule("only_this_path_hangs", Application, 1.8, beside::only_this_path_hangs),
    rule("only_this_path_is_reset", Firewall, 2.4, beside::only_this_path_is_reset),
    rule("every_path_hangs", Application, 0.7, beside::every_path_hangs),
    rule("answers_by_turns", Overload, 1.7, beside::answers_by_turns),
    rule("every_path_queues", Overload, 0.9, beside::every_path_queues),
    rule("more_in_flight_than_usual", Overload, 1.1, history::more_in_flight_than_usual),
    rule("answers_grew_slow", Overload, 1.3, history::answers_grew_slow),
    rule("connections_grew_slow", Overload, 0.9, history::connections_grew_slow),
    rule("ended_at_round_time", Application, 1.6, history::ended_at_round_time),
    rule("closes_idle_earlier", FaultyProxy, 1.8, history::closes_idle_earlier),
    rule("idle_connections_die", FaultyProxy, 0.8, history::idle_connections_die),
    rule("name_leads_elsewhere", Dns, 5.0, history::name_leads_elsewhere),
    rule("other_servers_answer", OriginDown, 0.6, beside::other_servers_answer),
    rule("other_servers_cope", Application, 0.5, beside::other_servers_cope),
    rule("every_server_hangs", Overload, 0.9, beside::every_server_hangs),
    rule("every_server_unreached", Firewall, 0.7, beside::every_server_unreached),
    rule("health_check_passes", Application, 1.0, beside::health_check_passes),
    rule("health_check_fails", OriginDown, 0.5, beside::health_check_fails),
    rule("health_check_breaks", Application, 0.4, beside::health_check_breaks),
];

/// The servers of these attempts, each once, in order.
fn targets<'a>(attempts: impl Iterator<Item = &'a Failure>) -> Vec<&'a str> {
    let mut servers: Vec<&str> = Vec::new();
    for target in attempts.filter_map(|failure| failure.target.as_ref()) {
        if !servers.contains(&&*target.url) {
            servers.push(&target.url);
        }
    }
    servers
}

/// What the kernel still waits for, in the words of a sentence.
fn unacknowledged_still(known: TransportEvidence) -> String {
    let count = |number: u32, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    let (packets, repeats) = (known.unacknowledged, known.retransmits);
    format!("{} stayed unacknowledged after {}", count(packets, "packet"), count(repeats, "retransmission"))
}

/// What ends a fresh connection within this time has hardly looked at what was sent.
const AT_ONCE: Duration = Duration::from_millis(5);

/// A connection idle for so long may have been forgotten on the way, where nothing more is acknowledged on it.
const FORGETFUL: Duration = Duration::from_secs(20);

/// What weighs less does not change much alone.
const TELLING: f64 = 1.4;

const fn rule(id: &'static str, points_to: Cause, weight: f64, look: fn(&Case) -> Option<String>) -> Rule {
    Rule { id, points_to, weight, measured: false, look }
}

/// A rule over what checks have measured.
const fn check(id: &'static str, points_to: Cause, weight: f64, look: fn(&Case) -> Option<String>) -> Rule {
    Rule { id, points_to, weight, measured: true, look }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::RULES;
    use super::most_telling;
    use crate::diagnosis::Cause;
    use crate::diagnosis::Evidence;

    #[test]
    fn only_what_a_check_has_measured_is_told_first_and_only_for_the_likeliest_cause() {
        let found = |id, points_to, weight| Evidence { id, says: String::new(), points_to, weight };
        let evidence = [
            found("own_address_refused", Cause::FaultyProxy, 1.8),
            found("http_on_other_port", Cause::FaultyProxy, 1.6),
            found("host_alive_beside", Cause::OriginDown, 0.9),
        ];
        let told = |cause| most_telling(&evidence, cause).map(|found| found.id);
        assert_eq!([told(Cause::FaultyProxy), told(Cause::OriginDown)], [Some("http_on_other_port"), None]);
    }

    #[test]
    fn a_rule_has_a_name_of_its_own_and_a_weight_that_is_a_number() {
        let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{}", rule.id);
            assert!((-6.0..=6.0).contains(&rule.weight) && rule.weight != 0.0, "{}", rule.id);
        }
    }
}
