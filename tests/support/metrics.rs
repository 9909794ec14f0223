//! The metrics of a server, as a scraper reads them.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::server::TestServer;

/// Metrics as they were at one moment.
#[derive(Debug)]
pub struct Metrics {
    /// The text as it was sent.
    pub text: String,
    series: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Metrics {
    /// Scrapes a server.
    ///
    /// # Panics
    /// If it does not answer with metrics.
    pub async fn of(server: &TestServer) -> Self {
        let response = server.raw(Method::GET, "/metrics", None).await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        Self::read(response.text().await.unwrap())
    }

    fn read(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| line_of(line).unwrap_or_else(|| panic!("{line}"))).collect();
        Self { text, series }
    }

    /// Returns the value of the series with exactly these labels.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let wanted: BTreeMap<_, _> = wanted.collect();
        let found = self.series.iter().find(|(known, of, _)| known == name && *of == wanted);
        found.unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.text)).2
    }

    /// Returns the series of this name, by the values of their labels.
    #[must_use]
    pub fn series(&self, name: &str) -> BTreeMap<String, f64> {
        let found = self.series.iter().filter(|(known, ..)| known == name);
        let joined = |labels: &BTreeMap<String, String>| {
            labels.values().map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        found.map(|(_, labels, value)| (joined(labels), *value)).collect()
    }

    /// Returns every metric with its kind, by the name under which it is queried: that of a histogram has
    /// no suffix.
    ///
    /// # Panics
    /// If a line is not complete.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, String> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let of = |line: &str| {
            let (name, kind) = line.split_once(' ').unwrap();
            (name.to_owned(), kind.to_owned())
        };
        lines.map(of).collect()
    }

    /// Returns the names of the labels that occur.
    #[must_use]
    pub fn label_names(&self) -> BTreeSet<String> {
        self.series.iter().flat_map(|(_, labels, _)| labels.keys().cloned()).collect()
    }
}

fn line_of(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix("\"}")?),
        None => (series, ""),
    };
    let labels = labels.split("\",").filter(|one| !one.is_empty());
    let labels = labels.map(|one| one.split_once("=\""));
    let labels = labels.map(|one| one.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Some((name.to_owned(), labels.collect::<Option<_>>()?, value.parse().ok()?))
}
