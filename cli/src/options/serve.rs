//! How to be a server.

use clap::Args;
use npipe::{ListenOptions, Security};

use super::amounts::Patience;

/// How to be a server.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Who may connect: owner, everyone, 0660, SDDL
    #[arg(long, value_name = "WHO", default_value = "owner", value_parser = security, hide_default_value = true)]
    pub security: Security,

    /// Serve at most N clients at once; others wait
    #[arg(long, value_name = "N", value_parser = clients, allow_hyphen_values = true)]
    pub max_clients: Option<u32>,

    /// Unix: listen where others could replace the socket
    #[arg(long, hide_short_help = true)]
    pub allow_shared_directory: bool,

    /// How long a program may go on alone [default: 5s]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        hide_default_value = true
    )]
    #[arg(allow_hyphen_values = true)]
    pub grace: Patience,
}

impl Serve {
    pub fn options(&self, messages: bool) -> ListenOptions {
        let options = ListenOptions::new()
            .security(self.security.clone())
            .message_mode(messages)
            .allow_shared_directory(self.allow_shared_directory);
        match self.max_clients {
            Some(clients) => options.max_instances(clients),
            None => options,
        }
    }
}

fn clients(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("give a number of clients, 1 or more".into()),
    }
}

fn security(text: &str) -> Result<Security, String> {
    match text.to_ascii_lowercase().as_str() {
        "owner" => Ok(Security::OwnerOnly),
        "everyone" => Ok(Security::Everyone),
        "default" => Ok(Security::OsDefault),
        _ if text.starts_with('0') && cfg!(windows) => {
            Err("permission bits are for Unix; on Windows give owner, everyone, default or SDDL".into())
        }
        _ if text.starts_with('0') => match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Security::Mode(mode)),
            _ => Err("permission bits are three octal digits, as in 0660".into()),
        },
        // Every security descriptor in SDDL begins with a letter and a colon: O: G: D: S:
        _ if text.get(1..2) == Some(":") && cfg!(unix) => {
            Err("SDDL is for Windows; on Unix give owner, everyone, default or permission bits such as 0660".into())
        }
        _ if text.get(1..2) == Some(":") => Ok(Security::Sddl(text.to_owned())),
        _ => Err("give owner, everyone, default, permission bits such as 0660 (Unix) \
                  or SDDL such as D:P(A;;GA;;;OW) (Windows)"
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_connect() {
        assert_eq!(security("everyone"), Ok(Security::Everyone));
        let (mode, sddl) = (security("0640"), security("D:P(A;;GA;;;OW)"));
        if cfg!(unix) {
            assert_eq!(mode, Ok(Security::Mode(0o640)));
            assert!(sddl.is_err());
        } else {
            assert!(mode.is_err());
            assert_eq!(sddl, Ok(Security::Sddl("D:P(A;;GA;;;OW)".into())));
        }
        assert!(security("0999").is_err());
        assert!(security("me").is_err());
    }
}
