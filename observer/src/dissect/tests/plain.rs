//! Frames that are whole: every link type, tag, option and length.

use super::*;
use crate::frame::MetadataTag;

#[track_caller]
fn check(link_type: LinkType, bytes: &[u8], expected: Result<(), Skip>) -> Option<Datagram<'static>> {
    let outcome = dissect(link_type, bytes);
    assert_eq!(outcome.as_ref().map(|_| ()).map_err(|skip| *skip), expected);
    if let Ok(datagram) = &outcome {
        assert_eq!(&*datagram.payload, PAYLOAD);
        assert!(!datagram.truncated && !datagram.reassembled);
    }
    outcome.ok()
}

#[test]
fn every_link_type_is_taken_off() {
    let packet = udp4(68, 67, PAYLOAD);
    let six = udp6(546, 547, PAYLOAD);
    let mut sll = vec![0, 4, 0, 1, 0, 6];
    sll.extend(CLIENT);
    sll.extend([0, 0, 8, 0]);
    let mut sll2 = vec![0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6];
    sll2.extend(CLIENT);
    sll2.extend([0, 0]);
    // A loopback or tunnel has no hardware address.
    let mut bare = sll.clone();
    bare[5] = 0;
    for (name, link_type, bytes, source, destination) in [
        ("ethernet", LinkType::Ethernet, ethernet4(&packet), Some(CLIENT), Some(SERVER)),
        ("ethernet 6", LinkType::Ethernet, ethernet(&[], 0x86dd, &six), Some(CLIENT), Some(SERVER)),
        ("sll", LinkType::LinuxSll, [&*sll, &packet].concat(), Some(CLIENT), None),
        ("sll without address", LinkType::LinuxSll, [&*bare, &packet].concat(), None, None),
        ("sll2", LinkType::LinuxSll2, [&*sll2, &six].concat(), Some(CLIENT), None),
        ("raw 4", LinkType::RawIp, packet.clone(), None, None),
        ("raw 6", LinkType::RawIp, six.clone(), None, None),
    ] {
        let datagram = check(link_type, &bytes, Ok(())).unwrap();
        assert_eq!((datagram.source_mac, datagram.destination_mac), (source, destination), "{name}");
        let (text, ports) = match datagram.source.is_ipv4() {
            true => ("192.0.2.9:68", "192.0.2.1:67"),
            false => ("[fe80::9]:546", "[fe80::1]:547"),
        };
        assert_eq!(
            (datagram.source.to_string(), datagram.destination.to_string()),
            (text.into(), ports.into())
        );
        assert!(datagram.vlans.is_empty(), "{name}");
    }
}

#[test]
fn tags_are_kept_outermost_first() {
    let packet = udp4(68, 67, PAYLOAD);
    let over = [(0x8100, 1); 5];
    for (tags, metadata, ids, expected) in [
        (&[(0x8100, 100)][..], None, "100", Ok(())),
        (&[(0x88a8, 0xe064), (0x8100, 7)], None, "100.7", Ok(())),
        (&[(0x9100, 3), (0x9100, 4), (0x8100, 5), (0x8100, 6)], None, "3.4.5.6", Ok(())),
        (&[(0x8100, 0xe000)], None, "", Ok(())),
        (&[(0x8100, 7)], Some((0x88a8, 100)), "100.7", Ok(())),
        (&[], Some((0x8100, 42)), "42", Ok(())),
        (&[(0x8100, 7)], Some((0x8100, 0)), "7", Ok(())),
        (&over[..4], Some((0x8100, 9)), "", Err(Skip::TooManyTags)),
        (&over[..], None, "", Err(Skip::TooManyTags)),
    ] {
        let bytes = ethernet(tags, 0x0800, &packet);
        let on = interface("eth0");
        let metadata_tag = metadata.map(|(ethertype, tci)| MetadataTag { ethertype, tci });
        let frame = Frame { metadata_tag, ..frame(&on, 0, LinkType::Ethernet, &bytes) };
        let outcome = Dissector::default().dissect(&frame);
        assert_eq!(outcome.as_ref().map(|_| ()).map_err(|skip| *skip), expected, "{tags:?} {metadata:?}");
        let Ok(datagram) = outcome else { continue };
        assert_eq!(datagram.vlans.to_string(), ids);
        assert_eq!(datagram.vlans.len(), tags.len() + usize::from(metadata.is_some()));
        assert_eq!(&*datagram.payload, PAYLOAD);
    }
    let bytes = ethernet(&[(0x8100, 0xe000)], 0x0800, &packet);
    let datagram = check(LinkType::Ethernet, &bytes, Ok(())).unwrap();
    let tag = datagram.vlans.as_slice()[0];
    assert!(tag.is_priority_only());
    assert_eq!((tag.priority(), tag.id(), datagram.vlans.ids().count()), (7, 0, 0));
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    // Record route, padded: 12 octets of options make a header of 8 words.
    let plain = udp4(68, 67, PAYLOAD);
    let mut options = plain.clone();
    options[0] = 0x48;
    options.splice(20..20, [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let total = u16::try_from(options.len()).unwrap();
    options[2..4].copy_from_slice(&total.to_be_bytes());
    check(LinkType::RawIp, &options, Ok(()));

    let six = udp6(547, 546, PAYLOAD);
    let chain = |headers: &[(u8, usize)], last: u8| {
        let mut bytes = six[..40].to_vec();
        let mut next = 6;
        for (protocol, units) in headers {
            bytes[next] = *protocol;
            next = bytes.len();
            let mut header = vec![0; units * 8];
            header[1] = match protocol {
                44 => 0,
                51 => u8::try_from(units * 2 - 2).unwrap(),
                _ => u8::try_from(units - 1).unwrap(),
            };
            bytes.extend(header);
        }
        bytes[next] = last;
        bytes.extend(&six[40..]);
        let length = u16::try_from(bytes.len() - 40).unwrap();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    for (headers, last, expected) in [
        (&[(0, 1)][..], 17, Ok(())),
        (&[(0, 2), (60, 3), (43, 1), (51, 2), (135, 1)], 17, Ok(())),
        (&[(44, 1)], 17, Ok(())),
        (&[(60, 1); 12], 17, Ok(())),
        (&[(60, 1); 13], 17, Err(Skip::TooManyExtensions)),
        (&[(0, 1)], 6, Err(Skip::NotUdp)),
        (&[(0, 1)], 59, Err(Skip::NotUdp)),
        (&[], 58, Err(Skip::NotUdp)),
    ] {
        check(LinkType::RawIp, &chain(headers, last), expected);
    }
}

#[test]
fn what_is_not_dhcp_is_named() {
    let mut wrong_version = udp4(68, 67, PAYLOAD);
    wrong_version[0] = 0x65;
    let mut short_header = udp4(68, 67, PAYLOAD);
    short_header[0] = 0x44;
    let mut short_total = udp4(68, 67, PAYLOAD);
    short_total[2..4].copy_from_slice(&[0, 19]);
    let mut tcp = udp4(68, 67, PAYLOAD);
    tcp[9] = 6;
    let mut short_udp = udp4(68, 67, PAYLOAD);
    short_udp[24..26].copy_from_slice(&[0, 7]);
    for (bytes, expected) in [
        (ethernet(&[], 0x0806, &[0; 28]), Skip::Arp),
        (ethernet(&[], 0x88cc, &[0; 28]), Skip::NotIp),
        (ethernet(&[], 0x0026, &[0; 38]), Skip::NotIp),
        (ethernet4(&wrong_version), Skip::BadIpHeader),
        (ethernet4(&short_header), Skip::BadIpHeader),
        (ethernet4(&short_total), Skip::BadIpHeader),
        (ethernet4(&tcp), Skip::NotUdp),
        (ethernet4(&short_udp), Skip::BadUdpLength),
        (ethernet4(&udp4(53, 1024, PAYLOAD)), Skip::OtherPort),
        // The ports of one version mean nothing in the other.
        (ethernet4(&udp4(546, 547, PAYLOAD)), Skip::OtherPort),
        (ethernet(&[], 0x86dd, &udp6(68, 67, PAYLOAD)), Skip::OtherPort),
        (ethernet4(&[]), Skip::TruncatedHeaders),
        (vec![0; 13], Skip::TruncatedHeaders),
    ] {
        check(LinkType::Ethernet, &bytes, Err(expected));
    }
    check(LinkType::RawIp, &[0x00; 40], Err(Skip::NotIp));
    // One DHCP port is enough: relays and RFC 8357 clients choose the other.
    for (source, destination) in [(68, 67), (67, 67), (67, 1024), (1024, 67)] {
        check(LinkType::RawIp, &udp4(source, destination, PAYLOAD), Ok(()));
    }
}

#[test]
fn the_smaller_length_wins() {
    let packet = udp4(68, 67, PAYLOAD);
    // Ethernet padding and a frame check sequence are no payload.
    let mut padded = ethernet4(&packet);
    padded.extend([0x55; 40]);
    check(LinkType::Ethernet, &padded, Ok(()));

    for (name, udp_length, ip_length, captured, payload, truncated) in [
        ("udp shorter than ip", 8 + 10, 57, 57, 10, false),
        ("udp longer than ip", 8 + 200, 57, 57, 29, true),
        ("no udp length", 0, 57, 57, 29, false),
        ("no ip length", 37, 0, 57, 29, false),
        ("captured short", 37, 57, 50, 22, true),
        ("captured short without lengths", 0, 0, 50, 22, true),
        ("captured to the udp header", 37, 57, 28, 0, true),
        ("ip ends inside the payload", 37, 40, 57, 12, true),
    ] {
        let mut bytes = packet.clone();
        bytes[24..26].copy_from_slice(&u16::to_be_bytes(udp_length));
        bytes[2..4].copy_from_slice(&u16::to_be_bytes(ip_length));
        let on = interface("eth0");
        let whole = bytes.len();
        let frame = Frame { wire_length: whole, ..frame(&on, 0, LinkType::RawIp, &bytes[..captured]) };
        let datagram = Dissector::default().dissect(&frame).expect(name);
        assert_eq!((&*datagram.payload, datagram.truncated), (&PAYLOAD[..payload], truncated), "{name}");
        assert!(matches!(datagram.payload, Cow::Borrowed(_)), "{name}");
    }
}

#[test]
fn every_reason_has_its_own_name_and_place() {
    let mut counts = SkipCounts::default();
    for (position, reason) in Skip::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, position);
        assert!(Skip::ALL.iter().filter(|other| other.name() == reason.name()).count() == 1);
        counts.count(reason);
        assert_eq!(counts.of(reason), 1);
    }
    assert_eq!(counts.total(), Skip::ALL.len() as u64);
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), counts.total());
}
