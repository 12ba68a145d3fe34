//! Names and the options' enums as a configuration has them.

#![cfg(feature = "serde")]

use npipe::{Access, Direction, ExpectServer, ImpersonationLevel, PipeMode, PipeName, Security};

#[test]
fn a_name_is_text_in_any_spelling() {
    let name: PipeName = serde_json::from_str(r#""npipe://./pipe/mypipe""#).unwrap();
    assert_eq!(name, PipeName::new("mypipe").unwrap());
    let text = serde_json::to_string(&name).unwrap();
    let again: PipeName = serde_json::from_str(&text).unwrap();
    assert_eq!(again.os_path(), name.os_path());
    let error = serde_json::from_str::<PipeName>(r#""anonymous""#).unwrap_err();
    assert!(error.to_string().contains("reserved"), "{error}");
}

#[test]
fn enums_are_words() {
    let json = |value: &dyn Fn() -> serde_json::Result<String>| value().unwrap();
    let text = [
        json(&|| serde_json::to_string(&PipeMode::Message)),
        json(&|| serde_json::to_string(&Direction::Inbound)),
        json(&|| serde_json::to_string(&Access::ReadWrite)),
        json(&|| serde_json::to_string(&ImpersonationLevel::Identification)),
        json(&|| serde_json::to_string(&ExpectServer::CurrentUser)),
        json(&|| serde_json::to_string(&Security::Mode(0o600))),
    ];
    let expected = [
        r#""message""#,
        r#""inbound""#,
        r#""read-write""#,
        r#""identification""#,
        r#""current-user""#,
        r#"{"mode":384}"#,
    ];
    assert_eq!(text, expected);
    let security: Security = serde_json::from_str(r#""owner-only""#).unwrap();
    assert_eq!(security, Security::OwnerOnly);
}
