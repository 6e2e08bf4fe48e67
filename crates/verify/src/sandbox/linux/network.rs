//! The run's own network: a loopback interface, and a counter that tells who wanted more.

use std::fs;
use std::io::{self, Seek};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `RTM_NEWLINK`, from `linux/rtnetlink.h`: changes an interface.
const NEW_LINK: u16 = 16;
/// `NLM_F_REQUEST | NLM_F_ACK`, from `linux/netlink.h`.
const REQUEST_WITH_ANSWER: u16 = 1 | 4;
/// `IFF_UP`, from `linux/if.h`.
const UP: u32 = 1;
/// The loopback interface is the first of every network namespace.
const LOOPBACK: i32 = 1;
/// Bytes of a message: a header of 16 and an interface of 16.
const MESSAGE: u32 = 32;

/// Turns the loopback interface on: tests start servers of their own there.
pub(super) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&socket, &up_message(), SendFlags::empty())?;
    let mut answer = [0; 64];
    rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // After the answer's header of 16 bytes: zero, or an error number below it.
    let [.., a, b, c, d] = answer.first_chunk::<20>().copied().unwrap_or_default();
    match i32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error.saturating_neg())),
    }
}

fn up_message() -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(MESSAGE.to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_WITH_ANSWER.to_ne_bytes());
    // Number of the message and of the sender.
    message.extend([0; 8]);
    // Any family, any type of device.
    message.extend([0; 4]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    // Which flags to change.
    message.extend(UP.to_ne_bytes());
    message
}

/// The tables of the network namespace of this process. Opened before `/proc` is another one.
pub(super) struct Counters {
    tables: Vec<fs::File>,
}

impl Counters {
    pub(super) fn open() -> Self {
        let tables = ["/proc/self/net/snmp", "/proc/self/net/snmp6"];
        Self {
            tables: tables
                .iter()
                .filter_map(|path| fs::File::open(path).ok())
                .collect(),
        }
    }

    /// How many packets or connections had no way out.
    pub(super) fn without_route(&mut self) -> u64 {
        self.tables
            .iter_mut()
            .filter_map(|table| {
                table.rewind().ok()?;
                io::read_to_string(table).ok()
            })
            .map(|text| without_route(&text))
            .sum()
    }
}

/// `OutNoRoutes` of a table in either of the kernel's two forms.
pub(super) fn without_route(table: &str) -> u64 {
    let mut names: Vec<&str> = Vec::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            ["Ip6OutNoRoutes", count] => return count.parse().unwrap_or(0),
            ["Ip:", ..] if names.is_empty() => names = fields,
            ["Ip:", ..] => {
                let column = names.iter().position(|name| *name == "OutNoRoutes");
                let count = column.and_then(|column| fields.get(column));
                return count.and_then(|count| count.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    0
}
