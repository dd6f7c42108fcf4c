//! Any bytes as a compressed message. What comes out has the declared length, and goes back in.
#![no_main]

use headwater_server::codec::{Header, compressed, opcode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let length = 16 + content.len();
    let header = Header { length, request_id: 7, response_to: 0, opcode: opcode::COMPRESSED };
    let mut message = Vec::new();
    header.write(&mut message);
    message.extend_from_slice(content);
    let declared = compressed::declared_bytes(&message);
    let Ok((inner, compressor)) = compressed::decompress(&header, &message) else { return };
    assert_eq!(inner.len(), 16 + declared);
    let mut packed = inner.clone();
    compressed::compress(&mut packed, 0, compressor);
    let header = Header::parse(&packed).expect("sound").expect("complete");
    if header.opcode == opcode::COMPRESSED {
        let (again, _) = compressed::decompress(&header, &packed).expect("packed by ourselves");
        assert_eq!(again, inner);
    }
});
