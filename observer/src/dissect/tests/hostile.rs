//! Bytes that no one should send: dissection returns all the same.

use super::*;

const LINKS: [LinkType; 4] = [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::RawIp];

fn samples() -> Vec<Vec<u8>> {
    let mut headers = udp6(546, 547, PAYLOAD);
    headers[6] = 0;
    headers.splice(40..40, [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1]);
    headers[5] += 16;
    vec![
        ethernet4(&udp4(68, 67, PAYLOAD)),
        ethernet(&[(0x88a8, 100), (0x8100, 7)], 0x86dd, &udp6(546, 547, PAYLOAD)),
        ethernet(&[], 0x86dd, &headers),
    ]
}

#[test]
fn a_frame_cut_anywhere_is_truncated_or_named() {
    for whole in samples() {
        assert!(dissect(LinkType::Ethernet, &whole).is_ok_and(|datagram| &*datagram.payload == PAYLOAD));
        let header = whole.len() - PAYLOAD.len();
        for length in 0..whole.len() {
            match dissect(LinkType::Ethernet, &whole[..length]) {
                Ok(datagram) => {
                    assert!(datagram.truncated && length >= header);
                    assert_eq!(&*datagram.payload, &PAYLOAD[..length - header]);
                }
                Err(reason) => {
                    assert!(reason == Skip::TruncatedHeaders && length < header, "{reason} at {length}")
                }
            }
        }
    }
}

#[test]
fn flipped_bits_and_noise_never_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let on = interface("eth0");
    let mut dissector =
        Dissector::new(FragmentLimits { datagrams: 16, bytes: 100_000, ..Default::default() });
    let mut duplicates =
        Duplicates::new(2, DuplicateLimits { frames: 16, bytes: 4096, ..Default::default() });
    let mut frames = 0;
    for round in 0..200_000_i64 {
        let samples = samples();
        let mut bytes = samples[numbers.below(samples.len())].clone();
        for _ in 0..numbers.below(6) {
            let position = numbers.below(bytes.len().min(80));
            bytes[position] ^= 1 << numbers.below(8);
        }
        if numbers.below(8) == 0 {
            bytes.iter_mut().for_each(|octet| *octet = numbers.next() as u8);
        }
        bytes.truncate(numbers.below(2 * bytes.len()));
        let link_type = if numbers.below(4) == 0 { LINKS[numbers.below(4)] } else { LinkType::Ethernet };
        if let Ok(datagram) = dissector.dissect(&frame(&on, round, link_type, &bytes)) {
            duplicates.is_duplicate(&datagram);
        }
        frames += 1;
        assert_eq!(dissector.frames(), frames);
    }
    assert!(dissector.datagrams() > 1000);
    let (entries, bytes) = dissector.fragments.footprint();
    assert!(entries <= 16 && bytes <= 100_000);
}
