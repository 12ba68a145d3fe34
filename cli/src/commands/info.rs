//! `npipe info NAME`: all there is to know of one pipe.

use std::ffi::OsString;

use clap::Args;
use npipe::{PipeName, PipeStream};
use serde::Serialize;

use crate::address::pipe_name;
use crate::failure::{self, Failure};
use crate::look::{self, Account, Look, Place, Process, mode_word};
use crate::options::Dial;
use crate::say::{self, plain};
use crate::stdout::print;

const EXAMPLES: &str = r"Examples:
  npipe info mypipe
  npipe info --connect --json mypipe

What cannot be seen from outside is left out, until --connect asks for it: that
is an open, takes an instance, and the server sees a client come and go.

JSON: name, address, state (live, stale, absent, unknown, not-a-socket),
connected, mode (byte, message), instances, max_instances, input_buffer_size,
output_buffer_size, owner, permissions, server_pid, server_program, server_user;
null is unknown. A user is {uid, name}, on Windows {sid, name}.";

/// Show all that is known of one pipe
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Info {
    /// The pipe
    #[arg(value_parser = pipe_name())]
    name: OsString,

    /// Connect to it too, to see what shows only then
    #[arg(long)]
    connect: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    dial: Dial,
}

/// What is known. The names are promised to stay.
#[derive(Debug, Default, Serialize)]
struct Known {
    name: String,
    address: String,
    state: &'static str,
    connected: bool,
    mode: Option<&'static str>,
    instances: Option<u32>,
    max_instances: Option<u32>,
    input_buffer_size: Option<u32>,
    output_buffer_size: Option<u32>,
    owner: Option<Account>,
    permissions: Option<String>,
    server_pid: Option<u32>,
    server_program: Option<String>,
    server_user: Option<Account>,
}

impl Info {
    pub fn run(self) -> failure::Result {
        let address = PipeName::new(&self.name).map_err(|e| Failure::pipe(&e))?;
        let name = self.name.to_string_lossy().into_owned();
        let mut known = Known::from(name, &address, look::at(&self.name, &address));
        if self.connect {
            let stream = self
                .dial
                .options()
                .connect(&self.name)
                .map_err(|e| Failure::pipe(&e))?;
            known.see(&stream);
        } else if known.state == "absent" {
            if self.json {
                print(known.json())?;
            }
            return Err(Failure::new(
                failure::NO_SUCH_PIPE,
                format!(
                    "info {address}: no such pipe; `npipe doctor {}` looks for the reason",
                    known.name
                ),
            ));
        }
        let shown = if self.json {
            known.json()
        } else {
            known.table()
        };
        print(shown)?;
        if !self.connect && known.state != "not-a-socket" {
            say::note(
                "connecting shows more, and takes an instance for a moment: add --connect for that",
            );
        }
        Ok(())
    }
}

/// The owner in a security descriptor: what stands between `O:` and the next part, whose letter comes before a colon.
fn owner(sddl: &str) -> Option<String> {
    let rest = sddl.strip_prefix("O:")?;
    let owner = match rest.split_once(':') {
        Some((owner, _)) => owner.get(..owner.len().checked_sub(1)?)?,
        None => rest,
    };
    Some(owner.to_owned()).filter(|owner| !owner.is_empty())
}

fn state(place: &Place) -> &'static str {
    match place {
        Place::Absent => "absent",
        Place::Live => "live",
        Place::Stale => "stale",
        Place::Unknown => "unknown",
        Place::NotASocket => "not-a-socket",
    }
}

impl Known {
    fn from(name: String, address: &PipeName, look: Look) -> Known {
        let mut known = Known {
            name,
            address: address.to_string(),
            state: state(&look.place),
            mode: look.mode.map(mode_word),
            instances: look.instances,
            max_instances: look.max_instances,
            owner: look.owner.map(Account::User),
            permissions: look.permissions.map(|bits| format!("{bits:04o}")),
            ..Known::default()
        };
        known.set_server(look.server);
        known
    }

    fn set_server(&mut self, server: Option<Process>) {
        if let Some(server) = server {
            self.server_pid = Some(server.id);
            self.server_program = server.program;
        }
    }

    fn see(&mut self, stream: &PipeStream) {
        self.connected = true;
        self.state = state(&Place::Live);
        self.mode = Some(mode_word(stream.mode()));
        if let Ok(info) = stream.info() {
            self.instances = info.instances().or(self.instances);
            self.max_instances = info.max_instances().or(self.max_instances);
            self.input_buffer_size = info.input_buffer_size();
            self.output_buffer_size = info.output_buffer_size();
        }
        if let Ok(security) = stream.security_descriptor() {
            let sid = || {
                let sid = owner(&security)?;
                Some(Account::Sid { sid, name: None })
            };
            self.owner = self.owner.take().or_else(sid);
            self.permissions = Some(security);
        }
        if let Ok(id) = stream.peer_pid() {
            self.set_server(Some(look::process(id)));
        }
        if let Ok(identity) = stream.peer_identity() {
            self.server_user = look::account(&identity);
        }
    }

    fn json(&self) -> String {
        // Strings and numbers always have a form in JSON.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{json}\n")
    }

    fn table(&self) -> String {
        let bytes = |size: Option<u32>| size.map(|size| format!("{size} bytes"));
        let server = self.server_pid.map(|id| {
            let program = self.server_program.clone();
            Process { id, program }.to_string()
        });
        let instances = self.instances.map(|instances| match self.max_instances {
            Some(most) => format!("{instances} of {most}"),
            None => instances.to_string(),
        });
        let text = |account: Option<&Account>| account.map(Account::to_string);
        let rows = [
            ("name", Some(self.name.clone())),
            ("address", Some(self.address.clone())),
            ("state", Some(self.state.to_owned())),
            ("mode", self.mode.map(str::to_owned)),
            ("instances", instances),
            ("buffer to server", bytes(self.input_buffer_size)),
            ("buffer to client", bytes(self.output_buffer_size)),
            ("owner", text(self.owner.as_ref())),
            ("permissions", self.permissions.clone()),
            ("server", server),
            ("server's user", text(self.server_user.as_ref())),
        ];
        rows.into_iter()
            .filter_map(|(what, value)| Some(format!("{what:<18}{}\n", plain(&value?))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_security_descriptor() {
        for (sddl, whose) in [
            (
                "O:S-1-5-21-1-2-1000G:S-1-5-21-1-2-513D:P(A;;GA;;;OW)",
                Some("S-1-5-21-1-2-1000"),
            ),
            ("O:BAD:(A;;FA;;;SY)", Some("BA")),
            ("O:SY", Some("SY")),
            ("O:", None),
            ("D:P(A;;GA;;;OW)", None),
            ("0600", None),
        ] {
            assert_eq!(owner(sddl).as_deref(), whose, "{sddl}");
        }
    }
}
