#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| observer_fuzzing::dhcpv6::run(input));
