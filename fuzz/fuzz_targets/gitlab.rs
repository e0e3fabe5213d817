#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| runner_fleet_fuzz::gitlab(data));
