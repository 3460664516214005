//! Messages for which no server calls a hook, told to dialects that follow the client; and what changes nothing.

use dhcp_observer::config::ServerConfig;
use dhcp_observer::tracker::{Answers, Event, LeaseEvent, Limits, Occurrence};

use crate::story::Story;
use crate::{wire4, wire6};

const A: &str = "192.0.2.100";

/// A message that was heard: the types of question and answer, by number. An event: its word, and whether it changes
/// anything.
fn told(event: &LeaseEvent) -> String {
    let name = |part: Option<u8>| part.map_or("-".to_owned(), |number| number.to_string());
    match &event.occurrence {
        Occurrence::Heard4 { exchange } => {
            let types = [&exchange.query, &exchange.answer].map(|part| {
                name(
                    part.as_ref()
                        .and_then(|part| part.message.message_type)
                        .map(|message_type| message_type.0),
                )
            });
            format!("heard {}/{}", types[0], types[1])
        }
        Occurrence::Heard6 { exchange } => {
            let types = [&exchange.query, &exchange.answer]
                .map(|part| name(part.as_ref().map(|part| part.message.message_type.0)));
            format!("heard {}/{}", types[0], types[1])
        }
        _ if event.changes_anything() => event.event.name().to_owned(),
        _ => format!("{} of nothing", event.event.name()),
    }
}

#[track_caller]
fn expect<const N: usize>(story: &mut Story, expected: [&str; N]) {
    assert_eq!(story.events().iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn questions_are_heard_when_they_are_put_and_answers_that_come_of_nothing_else() {
    let (mut story, client) = (Story::new().telling_heard(), wire4::client(1));
    let discover = client.discover();
    story.at(0).asks(&discover);
    expect(&mut story, ["heard 1/-"]);
    story.answers(&discover.offer(A));
    expect(&mut story, ["heard 1/2"]);
    let request = client.select(A);
    story.asks(&request).answers(&request.ack(A));
    expect(&mut story, ["heard 3/-", "commit"]);
    let inform = client.inform(A);
    story.asks(&inform).answers(&inform.ack_inform());
    expect(&mut story, ["heard 8/-", "heard 8/5"]);
    let renew = client.renew(A);
    story.asks(&renew).answers(&renew.nak());
    expect(&mut story, ["heard 3/-", "commit of nothing"]);
}

#[test]
fn dhcpv6_is_heard_alike() {
    let (mut story, client) = (Story::new().telling_heard(), wire6::client(1));
    let one = || vec![wire6::na(1, vec![wire6::address("2001:db8::1", 300, 600)])];
    let solicit = client.solicit(vec![wire6::na(1, vec![])]);
    story.at(0).asks(&solicit).answers(&solicit.advertise(one()));
    expect(&mut story, ["heard 1/-", "heard 1/2"]);
    let request = client.request(one());
    story.asks(&request).answers(&request.reply(one()));
    expect(&mut story, ["heard 3/-", "commit"]);
    let confirm = client.confirm(one());
    story.asks(&confirm).answers(&confirm.reply(vec![wire6::status(0)]));
    expect(&mut story, ["heard 4/-", "heard 4/7"]);
}

#[test]
fn nobody_is_told_who_has_not_asked_for_it() {
    let (mut story, client) = (Story::new(), wire4::client(1));
    let discover = client.discover();
    story.at(0).asks(&discover).answers(&discover.offer(A));
    assert!(story.events().is_empty());
}

#[test]
fn a_foreign_answer_is_not_heard() {
    let config = ServerConfig::default();
    let mut story = Story::tapping(config, Answers::Out, Limits::default()).telling_heard();
    let discover = wire4::client(1).discover();
    story.at(0).asks(&discover).asks(&discover.offer(A));
    expect(&mut story, ["heard 1/-"]);
}

#[test]
fn a_plain_renewal_changes_nothing_and_anything_else_does() {
    let (mut story, client) = (Story::new(), wire4::client(1));
    story.at(0).dora(&client, A);
    expect(&mut story, ["commit"]);
    let renew = client.renew(A);
    story.at(10).asks(&renew).answers(&renew.ack(A));
    expect(&mut story, ["renew of nothing", "renew of nothing"]);
    // Other words for the same would not do: the lifetime is another.
    let renew = client.renew(A);
    story.at(20).asks(&renew).answers(&renew.ack(A).lifetime(60));
    expect(&mut story, ["renew", "renew"]);
    let release = client.release(A);
    story.at(30).asks(&release);
    expect(&mut story, ["release", "release"]);
    assert_eq!(Event::Heard.name(), "heard");
}
