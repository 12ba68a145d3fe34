//! The harness works: every row, in turns that are too short to say anything about time.

use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn every_row_is_measured_and_drawn() {
    let dir = std::env::temp_dir();
    let file = |end: &str| dir.join(format!("npipe-bench-test-{}{end}", std::process::id()));
    let (json, svg) = (file(".json"), file(".svg"));
    let measured = Command::new(env!("CARGO_BIN_EXE_npipe-bench"))
        .args(["measure", "--quick", "--place", "free", "--json"])
        .arg(&json)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(measured.status.success(), "{measured:?}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let measured: Vec<&str> = rows.iter().filter_map(|row| row["row"].as_str()).collect();
    for row in [
        "trip-64",
        "trip-64k",
        "trip-idle",
        "write-64k",
        "connect",
        "storm",
    ] {
        assert!(measured.contains(&row), "{row} is not in {measured:?}");
    }
    for row in rows {
        for subject in row["subjects"].as_array().unwrap() {
            let times = &subject["nanoseconds"];
            let order = ["q1", "median", "q3"].map(|it| times[it].as_f64().unwrap());
            assert!(
                order[0] > 0.0 && order.is_sorted(),
                "{}: {subject}",
                row["row"]
            );
        }
    }
    let drawn = Command::new(env!("CARGO_BIN_EXE_npipe-bench"))
        .arg("draw")
        .args([&svg, &json])
        .output()
        .unwrap();
    assert!(drawn.status.success(), "{drawn:?}");
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert!(
        !picture.contains("NaN") && !picture.contains("inf"),
        "{picture}"
    );
    for file in [json, svg] {
        std::fs::remove_file(file).unwrap();
    }
}
