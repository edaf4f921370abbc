//! Owns the webhook: each line that opens or closes an incident is sent to a URL, one after the other, and again where that
//! fails. A thread of its own does it, so that nobody ever waits for it.

mod post;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep;

use self::post::Undelivered;
use self::post::post;
use crate::config::WebhookUrl;
use crate::dns::Resolver;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::Outlet;

/// The thread.
#[derive(Debug)]
pub struct Webhook {
    outlet: Arc<Outlet>,
    orders: watch::Sender<Orders>,
    /// Ends when the thread does.
    ended: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Orders {
    url: Option<WebhookUrl>,
    stop: bool,
}

impl Webhook {
    /// Begins to send what comes out there.
    ///
    /// # Errors
    ///
    /// The thread or what it runs on cannot be started.
    pub fn start(
        url: Option<&WebhookUrl>,
        outlet: Arc<Outlet>,
        resolver: Arc<Resolver>,
        telemetry: telemetry::Core,
    ) -> io::Result<Self> {
        let (orders, told) = watch::channel(Orders { url: url.cloned(), stop: false });
        let (end, ended) = mpsc::channel();
        outlet.want(url.is_some());
        let sender = Sender { outlet: Arc::clone(&outlet), resolver, telemetry, outage: None };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("webhook".to_owned()).spawn(move || {
            runtime.block_on(sender.work(told));
            drop(end);
        })?;
        Ok(Self { outlet, orders, ended: Mutex::new(ended) })
    }

    /// Sends to another URL from now on, or nothing any more. What waits goes there.
    pub fn configure(&self, url: Option<&WebhookUrl>) {
        self.outlet.want(url.is_some());
        self.orders.send_if_modified(|orders| {
            let changed = orders.url.as_ref() != url;
            orders.url = url.cloned();
            changed
        });
    }

    /// Sends what still waits, each once; gives up after the limit.
    pub fn stop(self, limit: Duration) {
        self.orders.send_modify(|orders| orders.stop = true);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(limit).ok();
    }
}

/// Who sends.
struct Sender {
    outlet: Arc<Outlet>,
    resolver: Arc<Resolver>,
    telemetry: telemetry::Core,
    /// None while lines arrive.
    outage: Option<Outage>,
}

/// Lines do not arrive.
struct Outage {
    wait: Duration,
    /// How many had been dropped before.
    dropped: u64,
}

impl Sender {
    async fn work(mut self, mut orders: watch::Receiver<Orders>) {
        loop {
            let Orders { url, stop } = orders.borrow_and_update().clone();
            let Some(url) = url else {
                self.outage = None;
                if stop || orders.changed().await.is_err() {
                    return;
                }
                continue;
            };
            if stop {
                return self.send_the_rest(&url).await;
            }
            tokio::select! {
                biased;
                changed = orders.changed() => {
                    self.outage = None;
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.send(&url) => {}
            }
        }
    }

    /// Waits for a line and sends it, until it has arrived or is given up. Where this is broken off, the line is still there.
    async fn send(&mut self, url: &WebhookUrl) {
        let line = self.outlet.first().await;
        let give_up_at = Instant::now() + LONGEST;
        loop {
            match self.try_to_send(url, line.clone()).await {
                Ok(()) => return,
                Err(Undelivered::Refused(_)) => return self.outlet.drop_first(),
                Err(_) if Instant::now() >= give_up_at => return self.outlet.drop_first(),
                Err(_) => {}
            }
            let wait = self.outage.as_mut().map_or(FIRST_WAIT, |outage| {
                let wait = outage.wait;
                outage.wait = (wait * 2).min(LONGEST_WAIT);
                wait
            });
            // Not all of those who have lost the same receiver at the same moment come back together.
            sleep(wait.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    async fn send_the_rest(mut self, url: &WebhookUrl) {
        while let Some(line) = self.outlet.peek() {
            if self.try_to_send(url, line).await.is_err() {
                self.outlet.drop_first();
            }
        }
    }

    /// Tries once; says so where lines have begun to be lost, or to arrive again.
    async fn try_to_send(&mut self, url: &WebhookUrl, line: Bytes) -> Result<(), Undelivered> {
        let outcome = post(url, &self.resolver, line).await;
        match &outcome {
            Ok(()) => {
                self.outlet.take();
                if let Some(outage) = self.outage.take() {
                    let dropped = self.outlet.dropped() - outage.dropped;
                    self.notice(&format!("the webhook {url} takes lines again; {dropped} were dropped"));
                }
            }
            Err(why) if self.outage.is_none() => {
                let refused = matches!(why, Undelivered::Refused(_));
                let then = if refused { "which are dropped" } else { "and each is tried again for up to an hour" };
                self.notice(&format!("the webhook {url} does not take the lines of incidents, {then}: {why}"));
                self.outage = Some(Outage { wait: FIRST_WAIT, dropped: self.outlet.dropped() });
            }
            Err(_) => {}
        }
        outcome
    }

    fn notice(&self, message: &str) {
        self.telemetry.record(Event::Notice(Notice { message, dropped: None }));
    }
}

/// Before the second try; it doubles with every one after it, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// For how long one line is tried.
const LONGEST: Duration = Duration::from_secs(60 * 60);
