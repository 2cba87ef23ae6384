//! How the function's binary is linked.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

/// `e_type` of an ELF file, in its byte 16: 2 is a program at a fixed address, 3 one at any (elf(5)).
#[test]
fn page_which_stands_on_the_internet_is_loaded_at_a_random_address() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_page")).unwrap();
    assert_eq!((&binary[..4], binary[16]), (&b"\x7fELF"[..], 3));
}
