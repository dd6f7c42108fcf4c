//! Shipments and licenses drawn at random.

use headwater::bson::{Document, doc};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

const CITIES: [&str; 7] =
    ["Atlanta", "New York", "Miami", "Chicago", "Los Angeles", "Seattle", "Dallas"];
const PRODUCTS: [&str; 5] = ["shoes", "pants", "shirts", "hats", "socks"];
const QUANTITIES: [i32; 9] = [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560];
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LICENSE: usize = 7;

/// A shipment with a truck; it never ends where it begins.
pub(super) fn shipment(truck: i32, random: &mut StdRng) -> Document {
    let mut cities = CITIES.choose_multiple(random, 2).copied();
    let (source, destination) =
        (cities.next().unwrap_or(CITIES[0]), cities.next().unwrap_or(CITIES[1]));
    doc! {
        "truck_id": truck,
        "source": source,
        "destination": destination,
        "product": PRODUCTS[random.random_range(0..PRODUCTS.len())],
        "quantity": QUANTITIES[random.random_range(0..QUANTITIES.len())],
    }
}

/// Capital letters and digits.
pub(super) fn license(random: &mut StdRng) -> String {
    (0..LICENSE).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn goods_are_as_the_lecture_says_and_repeatable() {
        let mut random = StdRng::seed_from_u64(1);
        for truck in 0..500 {
            let shipment = shipment(truck, &mut random);
            let (source, destination) =
                (shipment.get_str("source").unwrap(), shipment.get_str("destination").unwrap());
            assert!(source != destination && CITIES.contains(&source));
            assert!(CITIES.contains(&destination));
            let license = license(&mut random);
            assert_eq!(license.len(), 7);
            assert!(license.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
        }
        let draw = || shipment(1, &mut StdRng::seed_from_u64(9));
        assert_eq!(draw(), draw());
    }
}
