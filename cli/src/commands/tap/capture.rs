//! What happens as a pcapng file. Wireshark knows no pipes, so each connection is dressed as a TCP connection between two
//! ports of this machine; then it follows streams, and knows HTTP and much else.

use std::collections::HashMap;

use etherparse::PacketBuilder;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};

use super::event::{Event, What};
use crate::couple::Way;

/// What fits an IP packet with its headers.
const LONGEST: usize = 65_000;

const HOST: [u8; 4] = [127, 0, 0, 1];
/// Where the server is, as it were.
const SERVER: u16 = 80;
/// The first client.
const CLIENT: u16 = 20_000;

/// Times are told in these: 10^-9 s.
const RESOLUTION: u8 = 9;

#[derive(Default)]
pub struct Capture {
    begun: bool,
    connections: HashMap<u64, Numbers>,
}

/// How far each side has come in TCP's count.
#[derive(Clone, Copy)]
struct Numbers {
    client: u32,
    server: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Syn,
    Push,
    Fin,
}

impl Capture {
    /// The packets of an event, and before the first of them what a file begins with.
    pub fn packets(&mut self, event: &Event) -> Vec<u8> {
        let mut file = Vec::new();
        // Writing to memory does not fail.
        let _ = self.write(&mut file, event);
        file
    }

    fn write(&mut self, file: &mut Vec<u8>, event: &Event) -> Result<(), pcap_file::PcapError> {
        let mut section = Vec::new();
        let mut writer = PcapNgWriter::new(&mut section)?;
        writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::RAW,
            snaplen: 0,
            options: vec![InterfaceDescriptionOption::IfTsResol(RESOLUTION)],
        })?;
        let header = writer.get_ref().len();
        let mut packet = |from: Way, numbers: Numbers, flag: Flag, bytes: &[u8]| {
            let data = dressed(event.connection, from, numbers, flag, bytes);
            writer.write_pcapng_block(EnhancedPacketBlock {
                interface_id: 0,
                timestamp: event
                    .time
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default(),
                original_len: data.len() as u32,
                data: data.into(),
                options: Vec::new(),
            })
        };
        let numbers = self.connections.entry(event.connection).or_insert(Numbers {
            client: 0,
            server: 0,
        });
        match &event.what {
            What::Open => {
                packet(Way::Up, *numbers, Flag::Syn, &[])?;
                numbers.client = 1;
                packet(Way::Down, *numbers, Flag::Syn, &[])?;
                numbers.server = 1;
                packet(Way::Up, *numbers, Flag::Push, &[])?;
            }
            What::Data(way, bytes) | What::Message(way, bytes) => {
                for part in bytes.chunks(LONGEST) {
                    packet(*way, *numbers, Flag::Push, part)?;
                    numbers.add(*way, part.len());
                }
            }
            What::End(way) => {
                packet(*way, *numbers, Flag::Fin, &[])?;
                numbers.add(*way, 1);
            }
            What::Close | What::Shown(_) => {
                self.connections.remove(&event.connection);
            }
        }
        // A section begins once.
        let from = if self.begun { header } else { 0 };
        self.begun = true;
        file.extend_from_slice(&section[from..]);
        Ok(())
    }
}

impl Numbers {
    fn add(&mut self, way: Way, length: usize) {
        let number = match way {
            Way::Up => &mut self.client,
            Way::Down => &mut self.server,
        };
        *number = number.wrapping_add(length as u32);
    }
}

fn dressed(connection: u64, from: Way, numbers: Numbers, flag: Flag, bytes: &[u8]) -> Vec<u8> {
    let client = CLIENT + (connection % 40_000) as u16;
    let (source, target, ours, theirs) = match from {
        Way::Up => (client, SERVER, numbers.client, numbers.server),
        Way::Down => (SERVER, client, numbers.server, numbers.client),
    };
    let mut tcp = PacketBuilder::ipv4(HOST, HOST, 64).tcp(source, target, ours, u16::MAX);
    if from == Way::Down || flag != Flag::Syn {
        tcp = tcp.ack(theirs);
    }
    tcp = match flag {
        Flag::Syn => tcp.syn(),
        Flag::Push => tcp.psh(),
        Flag::Fin => tcp.fin(),
    };
    let mut packet = Vec::with_capacity(tcp.size(bytes.len()));
    // It fits, and memory takes it.
    let _ = tcp.write(&mut packet, bytes);
    packet
}
