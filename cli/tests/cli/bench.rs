//! `bench`: all measures in every form.

use std::io::Read;

use serde_json::Value;

use crate::harness::*;

#[test]
fn every_measure_as_json_and_as_a_picture() {
    let _watchdog = watchdog();
    let file = std::env::temp_dir().join(name("bench.svg"));
    let ended = run(&[
        "bench",
        "--time",
        "50ms",
        "--json",
        "--plot",
        file.to_str().unwrap(),
    ])
    .done();
    let results: Value = serde_json::from_str(ended.text()).unwrap();
    for measure in ["round_trip", "connect"] {
        let times = &results[measure];
        let number = |name: &str| {
            times[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{measure} has no {name}"))
        };
        assert!(number("count") >= 1.0 && number("per_second") > 0.0);
        let order = ["min", "p50", "p90", "p99", "p99_9", "max"].map(number);
        assert!(order.is_sorted() && order[0] > 0.0, "{times}");
    }
    for rate in ["to_server_bytes_per_second", "to_client_bytes_per_second"] {
        assert!(results["throughput"][rate].as_f64().unwrap() > 0.0);
    }
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<polyline").count(), 2);
    // What the table calls them, and units as a picture can have them.
    for row in [
        "round trip, 64 B",
        "connect, close",
        "client to server",
        "server to client",
    ] {
        assert!(svg.contains(row), "{row}: {svg}");
    }
    assert!(
        svg.contains("\u{b5}s") && !svg.contains("us</text>"),
        "{svg}"
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_table_fits_a_screen() {
    let _watchdog = watchdog();
    let ended = run(&[
        "bench",
        "--time",
        "20ms",
        "--size",
        "100k",
        "--busy-poll",
        "10us",
    ])
    .done();
    assert!(ended.text().contains("round trip, 100 KiB"), "{ended:?}");
    assert!(ended.text().contains("client to server"), "{ended:?}");
    for line in ended.text().lines().skip(1) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn somebody_elses_echo_server_is_measured_too() {
    let _watchdog = watchdog();
    let name = name("bench-echo");
    let (_echo, _) = serve(&["listen", "--echo", &name]);
    let ended = run(&["bench", "--time", "20ms", "--json", &name]).done();
    let results: Value = serde_json::from_str(ended.text()).unwrap();
    assert!(results["pipe"].as_str().unwrap().contains(&name));
    assert_eq!(results["throughput"], Value::Null);
}

#[test]
fn a_server_that_does_not_echo_is_told_apart() {
    let _watchdog = watchdog();
    let name = name("bench-mute");
    let served = server(&name, 1, |stream| {
        (&stream).read_exact(&mut [0; 64]).unwrap()
    });
    let ended = run(&["bench", &name]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("does not echo"), "{ended:?}");
    served.join().unwrap();
}

#[test]
fn a_picture_that_cannot_be_written_costs_no_measure() {
    let _watchdog = watchdog();
    let nowhere = std::env::temp_dir()
        .join(name("no-directory"))
        .join("x.svg");
    let nowhere = nowhere.to_str().unwrap();
    let ended = run(&["bench", "--time", "1h", "--plot", nowhere]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.text(), "");
    assert!(
        ended.stderr.contains(&format!("write {nowhere}: ")),
        "{ended:?}"
    );
}

#[test]
fn the_help_names_every_field_of_the_json() {
    let _watchdog = watchdog();
    let help = run(&["bench", "--help"]).done();
    let results = run(&["bench", "--time", "10ms", "--json"]).done();
    let results: Value = serde_json::from_str(results.text()).unwrap();
    let mut names = Vec::new();
    for (name, value) in results.as_object().unwrap() {
        names.push(name);
        names.extend(value.as_object().into_iter().flat_map(|inner| inner.keys()));
    }
    let words: Vec<_> = help
        .text()
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    for name in names {
        assert!(words.contains(&name.as_str()), "{name}");
    }
}
