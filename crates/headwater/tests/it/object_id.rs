//! R27: what is an ObjectId and what is not.

use headwater::{is_valid_object_id, object_id};

#[test]
fn r27_24_hexadecimal_digits_are_an_object_id_and_nothing_else_is() {
    for text in ["65a1b2c3d4e5f60718293a4b", "65A1B2C3D4E5F60718293A4B", &"0".repeat(24)] {
        assert!(is_valid_object_id(text), "{text}");
        assert_eq!(object_id(text).unwrap().to_hex(), text.to_lowercase());
    }
    let long = "0".repeat(25);
    for text in [
        "",
        "65a1b2c3",
        "zza1b2c3d4e5f60718293a4b",
        &long,
        "65a1b2c3d4e5f60718293a4 ",
        "éééééééééééé",
    ] {
        assert!(!is_valid_object_id(text) && object_id(text).is_err(), "{text}");
        let error = object_id(text).unwrap_err();
        assert_eq!(error.kind(), headwater::ErrorKind::Validation);
        assert_eq!(error.to_string(), format!("Invalid ObjectId: {text}"));
    }
}
