//! Any bytes as a message: header, flags, sections, commands. What is accepted must be sound and be accepted again.
#![no_main]

use headwater_engine::bson::validate_command;
use headwater_server::codec::{Header, msg, opcode, query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = Header::parse(bytes) else { return };
    let Some(message) = bytes.get(..header.length) else { return };
    match header.opcode {
        opcode::QUERY => {
            if let Ok(command) = query::command(message) {
                let body = validate_command(command.as_doc().as_bytes());
                assert!(body.expect("an unwrapped command is valid").get("$db").is_some());
            }
        }
        // Anything else as `OP_MSG`, so that mutations of the opcode are not wasted.
        _ => {
            let Ok(flags) = msg::flags(message) else { return };
            let Ok(command) = msg::command(message, flags) else { return };
            let again = msg::trusted_command(message, flags).expect("accepted once");
            assert_eq!(command.body.as_bytes(), again.body.as_bytes());
            for (sequence, again) in command.sequences.iter().zip(&again.sequences) {
                assert_eq!(sequence.name, again.name);
                assert_eq!(sequence.documents.len(), again.documents.len());
                for document in &sequence.documents {
                    assert!(validate_command(document.as_bytes()).is_ok());
                }
            }
        }
    }
});
