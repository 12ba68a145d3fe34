//! How to reach a server.

use std::time::Duration;

use clap::Args;
use npipe::{ConnectOptions, ExpectServer, ImpersonationLevel};

use super::amounts::Patience;

/// How to reach a server.
#[derive(Clone, Debug, Args)]
pub struct Dial {
    /// How long to try: 500ms, 2m, none [default: 2s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub timeout: Option<Patience>,

    /// Wait for a server, without end or for --timeout
    #[arg(long)]
    pub wait: bool,

    /// What the server may do as you, anonymous to delegation
    #[arg(long, value_name = "LEVEL", default_value = "identification", value_parser = impersonation)]
    #[arg(hide_default_value = true, hide_short_help = true)]
    pub impersonation: ImpersonationLevel,

    /// Refuse others: current-user, a name, a UID, a SID
    #[arg(long, value_name = "WHOSE", value_parser = server)]
    pub expect_server: Option<ExpectServer>,
}

/// As long as a person waits for an answer before they wonder.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Dial {
    /// What was said; else whoever waits for a server waits until it comes.
    pub fn timeout(&self) -> Patience {
        self.timeout
            .unwrap_or(Patience((!self.wait).then_some(TIMEOUT)))
    }

    /// Whether whoever wants the connection may have gone before it is there.
    pub fn may_take_long(&self) -> bool {
        self.timeout().0.is_none_or(|time| time > 2 * TIMEOUT)
    }

    pub fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .wait_for_server(self.wait)
            .impersonation(self.impersonation);
        if let Some(server) = &self.expect_server {
            options = options.expect_server(server.clone());
        }
        match self.timeout().0 {
            Some(timeout) => options.timeout(timeout),
            None => options.no_timeout(),
        }
    }
}

fn impersonation(text: &str) -> Result<ImpersonationLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "anonymous" => Ok(ImpersonationLevel::Anonymous),
        "identification" => Ok(ImpersonationLevel::Identification),
        "impersonation" => Ok(ImpersonationLevel::Impersonation),
        "delegation" => Ok(ImpersonationLevel::Delegation),
        _ => Err("give anonymous, identification, impersonation or delegation".into()),
    }
}

fn server(text: &str) -> Result<ExpectServer, String> {
    if text == "current-user" {
        return Ok(ExpectServer::CurrentUser);
    }
    match text.parse() {
        Ok(uid) if cfg!(unix) => Ok(ExpectServer::Uid(uid)),
        Err(_) if cfg!(windows) && !text.is_empty() => Ok(ExpectServer::Sid(text.to_owned())),
        #[cfg(unix)]
        _ => match crate::accounts::id_of(text) {
            Some(uid) => Ok(ExpectServer::Uid(uid)),
            None => Err(
                "there is no such user; give current-user, a user's name, or a number such as 1000"
                    .into(),
            ),
        },
        #[cfg(windows)]
        _ => Err("give current-user, an account, or a SID such as S-1-5-18 or SY".into()),
    }
}
