//! Names and numbers of accounts, on Unix.

use std::fs;
use std::process::Command;

/// The account's name.
pub fn name_of(id: u32) -> Option<String> {
    let id = id.to_string();
    find(&id, |name, number| (number == id).then(|| name.to_owned()))
}

/// The account's number.
pub fn id_of(name: &str) -> Option<u32> {
    find(name, |other, number| {
        (other == name).then(|| number.parse().ok()).flatten()
    })
}

/// Looks into the file that has most of them, and asks `getent` for those that come from elsewhere. (macOS has no such
/// program, and its accounts elsewhere: there the number has to do.)
fn find<T>(key: &str, pick: impl Fn(&str, &str) -> Option<T>) -> Option<T> {
    let among = |accounts: &[u8]| {
        String::from_utf8_lossy(accounts).lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            pick(name, fields.nth(1)?)
        })
    };
    let known = among(&fs::read("/etc/passwd").unwrap_or_default());
    known.or_else(|| {
        let mut getent = Command::new("getent");
        let output = getent.args(["passwd", "--", key]).output().ok()?;
        among(&output.stdout)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_every_system_has() {
        if cfg!(target_os = "linux") {
            assert_eq!(name_of(0).as_deref(), Some("root"));
            assert_eq!(id_of("root"), Some(0));
        }
        assert_eq!(id_of("npipe no such user"), None);
    }
}
