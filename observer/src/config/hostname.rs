//! Whose word counts for a lease's host name.

use crate::octets::Octets;

/// Where the host name of a lease is taken from. What the client calls itself is cleaned first, as Kea cleans it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostnameFrom {
    /// The server's answer alone. Right beside Kea, which repeats every name that it accepts.
    Answer,
    /// The server's answer or, where that holds none, the client. Right beside servers that take a name without repeating
    /// it: ISC dhcpd, udhcpd.
    AnswerThenClient,
    /// The client alone.
    Client,
    /// The client or, where it has none, the server's answer.
    ClientThenAnswer,
}

impl HostnameFrom {
    /// Without a wish: a configuration of Kea means that the server is one.
    pub fn or_default(wish: Option<Self>, kea: bool) -> Self {
        wish.unwrap_or(if kea { Self::Answer } else { Self::AnswerThenClient })
    }

    /// The name. An empty one counts as none.
    pub fn choose(
        self,
        answer: impl FnOnce() -> Option<Octets>,
        client: impl FnOnce() -> Option<Octets>,
    ) -> Octets {
        let answer = || answer().filter(|name| !name.is_empty());
        let client = || client().filter(|name| !name.is_empty());
        match self {
            Self::Answer => answer(),
            Self::AnswerThenClient => answer().or_else(client),
            Self::Client => client(),
            Self::ClientThenAnswer => client().or_else(answer),
        }
        .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_counts() {
        use HostnameFrom::{Answer, AnswerThenClient, Client, ClientThenAnswer};
        let name = |text: &str| (text != "-").then(|| text.as_bytes().into());
        for (answer, client, expected) in [
            ("a", "c", ["a", "a", "c", "c"]),
            ("a", "-", ["a", "a", "", "a"]),
            ("-", "c", ["", "c", "c", "c"]),
            ("", "c", ["", "c", "c", "c"]),
            ("a", "", ["a", "a", "", "a"]),
            ("-", "-", ["", "", "", ""]),
        ] {
            let rules = [Answer, AnswerThenClient, Client, ClientThenAnswer];
            let found = rules.map(|rule| rule.choose(|| name(answer), || name(client)));
            assert_eq!(found, expected.map(|text| Octets::from(text.as_bytes())), "{answer} {client}");
        }
        assert_eq!(HostnameFrom::or_default(None, true), Answer);
        assert_eq!(HostnameFrom::or_default(None, false), AnswerThenClient);
        assert_eq!(HostnameFrom::or_default(Some(Client), true), Client);
    }
}
