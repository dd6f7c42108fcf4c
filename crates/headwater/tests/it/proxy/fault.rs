//! What can go wrong with a request, and the rules by which it does. Knows no sockets.

use std::time::Duration;

/// What happens to a request, or to the connection that it came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is reset and the server never sees the request.
    ResetBefore,
    /// The server runs the request; then the connection is reset and its reply is lost.
    ResetAfter,
    /// The server runs the request; the proxy ends its side of the connection without the reply.
    HalfClose,
    /// The request waits this long before the server gets it.
    Delay(Duration),
    /// The reply waits this long.
    DelayReply(Duration),
    /// The reply comes one byte at a time.
    Slices,
    /// The request and all that follow on its connection vanish; the connection stays open.
    BlackHole,
    /// The server runs the request; its reply and all that follow on its connection vanish; the connection stays open.
    BlackHoleAfter,
}

impl Fault {
    /// Only for this command, the handshake and monitoring included if named (`hello`).
    pub(crate) fn on(self, command: &'static str) -> Rule {
        Rule::from(self).on(command)
    }

    /// For so many requests.
    pub(crate) fn times(self, times: usize) -> Rule {
        Rule::from(self).times(times)
    }

    /// For this share of the requests.
    pub(crate) fn chance(self, chance: f64) -> Rule {
        Rule::from(self).chance(chance)
    }
}

/// Which requests a fault hits: every one but those of handshakes and monitoring, unless said otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    fault: Fault,
    commands: Vec<&'static str>,
    skip: usize,
    left: Option<usize>,
    /// Out of 2^32.
    chance: u64,
    random: u64,
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Rule {
        let random = 0x9E37_79B9_7F4A_7C15;
        Rule { fault, commands: Vec::new(), skip: 0, left: None, chance: 1 << 32, random }
    }
}

impl Rule {
    /// Only for this command; called again, for this one too.
    pub(crate) fn on(mut self, command: &'static str) -> Rule {
        self.commands.push(command);
        self
    }

    /// Not for the first so many requests that it fits.
    pub(crate) fn skip(mut self, requests: usize) -> Rule {
        self.skip = requests;
        self
    }

    /// For so many requests, then never again.
    pub(crate) fn times(mut self, times: usize) -> Rule {
        self.left = Some(times);
        self
    }

    /// For this share of the requests, the same ones in every run.
    pub(crate) fn chance(mut self, chance: f64) -> Rule {
        self.chance = (chance * 4_294_967_296.0) as u64;
        self
    }

    /// With another choice of requests for [`Rule::chance`].
    pub(crate) fn seed(mut self, seed: u64) -> Rule {
        self.random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        self
    }

    /// The fault for a request, if it is one of those to hit.
    pub(super) fn strike(&mut self, command: &str) -> Option<Fault> {
        let fits = match self.commands.as_slice() {
            [] => !is_monitoring(command),
            commands => commands.contains(&command),
        };
        if !fits || self.left == Some(0) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.chance < 1 << 32 && self.next_random() >= self.chance {
            return None;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Some(self.fault)
    }

    /// The next of a fixed series of 32-bit numbers.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 32
    }
}

/// Whether drivers send the command on their own behalf.
pub(super) fn is_monitoring(command: &str) -> bool {
    ["hello", "isMaster", "ismaster", "saslStart", "saslContinue", "endSessions", "killCursors"]
        .contains(&command)
}
