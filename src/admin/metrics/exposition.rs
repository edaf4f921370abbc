//! Owns the two text forms of metrics: Prometheus' own (version 0.0.4) and `OpenMetrics` 1.0, which differ in little.

use std::fmt::Write as _;

use http::HeaderMap;
use http::header;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Prometheus,
    OpenMetrics,
}

/// What a family of metrics is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// Says what is, in its labels.
    Info,
}

/// Names and values that tell a sample from the others of its family.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics that is being written.
#[derive(Debug)]
pub(super) struct Page {
    form: Form,
    text: String,
}

impl Form {
    /// The one that is wanted more; Prometheus' where both are wanted alike, or neither is.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut open, mut plain) = (0.0, 0.0);
        for range in lines.flat_map(|line| line.split(',')) {
            let mut words = range.split(';').map(str::trim);
            let media_type = words.next().unwrap_or_default().to_ascii_lowercase();
            let quality = words.find_map(|word| word.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
            let quality: f64 = quality.unwrap_or_default();
            match &*media_type {
                "application/openmetrics-text" => open = quality.max(open),
                "text/plain" => plain = quality.max(plain),
                _ => {}
            }
        }
        if open > plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What the answer says that it is.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Page {
    /// An empty one.
    pub(super) fn new(form: Form) -> Self {
        Self { form, text: String::with_capacity(USUAL) }
    }

    /// Begins a family. Its name is without the ending that its kind has: `_total` of a counter, `_info`.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let (ending, told) = match (self.form, kind) {
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
            (Form::Prometheus, Kind::Counter) => ("_total", "counter"),
            (Form::Prometheus, Kind::Info) => ("_info", "gauge"),
            (Form::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Form::OpenMetrics, Kind::Info) => ("", "info"),
        };
        self.line(format_args!("# HELP {name}{ending} {help}\n# TYPE {name}{ending} {told}\n"));
        if self.form == Form::OpenMetrics
            && let Some((_, unit)) = name.rsplit_once('_').filter(|(_, unit)| UNITS.contains(unit))
        {
            self.line(format_args!("# UNIT {name} {unit}\n"));
        }
        let ending = match kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        Family { page: self, name, ending }
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // To write into memory does not fail.
        self.text.write_fmt(text).ok();
    }

    fn sample(&mut self, (name, ending): (&str, &str), labels: Labels<'_>, more: Option<(&str, &str)>, value: Value) {
        self.line(format_args!("{name}{ending}"));
        for (index, (label, text)) in labels.iter().copied().chain(more).enumerate() {
            self.line(format_args!("{}{label}=\"", if index == 0 { '{' } else { ',' }));
            self.escaped(text);
            self.text.push('"');
        }
        let close = if labels.is_empty() && more.is_none() { "" } else { "}" };
        match value {
            Value::Whole(value) => self.line(format_args!("{close} {value}\n")),
            // `{:?}` has a decimal point where the number is whole, as OpenMetrics wants it.
            Value::Real(value) => self.line(format_args!("{close} {value:?}\n")),
        }
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                plain => self.text.push(plain),
            }
        }
    }
}

/// What a sample says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// A family that is being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
    ending: &'static str,
}

impl Family<'_> {
    /// One sample more.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Into<Value>) -> &mut Self {
        self.page.sample((self.name, self.ending), labels, None, value.into());
        self
    }

    /// One histogram more: how many there are up to each bound, in seconds, those beyond all of them, and their sum.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, counts: impl Iterator<Item = (Option<f64>, u64)>, sum: f64) {
        let mut all = 0;
        for (bound, count) in counts {
            all += count;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"));
            self.page.sample((self.name, "_bucket"), labels, Some(("le", &bound)), all.into());
        }
        self.page.sample((self.name, "_sum"), labels, None, sum.into());
        self.page.sample((self.name, "_count"), labels, None, all.into());
    }
}

/// A unit is the last word of a name.
const UNITS: [&str; 2] = ["seconds", "bytes"];
/// In bytes; about what a small installation has to tell.
const USUAL: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderValue;
    use http::header;

    use super::Form;
    use super::Kind;
    use super::Page;

    fn page(form: Form) -> String {
        let mut page = Page::new(form);
        page.family("a_requests", Kind::Counter, "Requests.").sample(&[("route", "a\"b\\c\nd"), ("up", "x")], 3_u64);
        page.family("a_open", Kind::Gauge, "Open.").sample(&[], 1.0);
        page.family("a_build", Kind::Info, "Built.").sample(&[("version", "0.1.0")], 1_u64);
        let counts = [(Some(0.005), 2), (Some(1.0), 0), (None, 1)];
        page.family("a_took_seconds", Kind::Histogram, "Took.").histogram(&[("up", "x")], counts.into_iter(), 2.5);
        page.finish()
    }

    #[test]
    fn each_form_is_written_by_its_own_rules() {
        let prometheus = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\n\
            a_requests_total{route=\"a\\\"b\\\\c\\nd\",up=\"x\"} 3\n\
            # HELP a_open Open.\n# TYPE a_open gauge\na_open 1.0\n\
            # HELP a_build_info Built.\n# TYPE a_build_info gauge\na_build_info{version=\"0.1.0\"} 1\n\
            # HELP a_took_seconds Took.\n# TYPE a_took_seconds histogram\n\
            a_took_seconds_bucket{up=\"x\",le=\"0.005\"} 2\na_took_seconds_bucket{up=\"x\",le=\"1.0\"} 2\n\
            a_took_seconds_bucket{up=\"x\",le=\"+Inf\"} 3\na_took_seconds_sum{up=\"x\"} 2.5\na_took_seconds_count{up=\"x\"} 3\n";
        assert_eq!(page(Form::Prometheus), prometheus);
        let open = prometheus
            .replace("# HELP a_requests_total", "# HELP a_requests")
            .replace("# TYPE a_requests_total", "# TYPE a_requests")
            .replace("# HELP a_build_info", "# HELP a_build")
            .replace("# TYPE a_build_info gauge", "# TYPE a_build info")
            .replace("histogram\n", "histogram\n# UNIT a_took_seconds seconds\n");
        assert_eq!(page(Form::OpenMetrics), open + "# EOF\n");
    }

    #[test]
    fn the_form_is_the_one_that_is_wanted_more() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, form) in [
            (prometheus, Form::OpenMetrics),
            ("*/*", Form::Prometheus),
            ("", Form::Prometheus),
            ("text/plain;version=0.0.4", Form::Prometheus),
            ("application/openmetrics-text;q=0.1, text/plain", Form::Prometheus),
            ("application/openmetrics-text;q=0", Form::Prometheus),
            ("application/openmetrics-text;q=x", Form::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Form::of(&headers), form, "{accept}");
        }
    }
}
