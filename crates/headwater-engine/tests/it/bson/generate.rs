//! Values made up from a seed, with the awkward ones more often than chance would have them.

use headwater_engine::bson::{ArrayWriter, Decimal, DocBuf, DocWriter, Raw, Type, Value};

/// A source of pseudo-random numbers (splitmix64). The same seed gives the same values.
pub(super) struct Source(u64);

impl Source {
    pub(super) fn new(seed: u64) -> Source {
        Source(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A value of any type, nested at most `depth` deep.
    pub(super) fn value(&mut self, depth: usize) -> Value<'static> {
        match self.below(if depth == 0 { 17 } else { 21 }) {
            0..6 => self.number(),
            6..9 => Value::str(&self.text()),
            9 => Value::NULL,
            10 => Value::bool(self.next().is_multiple_of(2)),
            11 => Value::date(self.integer()),
            12 => Value::owned(Type::Timestamp, &self.integer().to_le_bytes()),
            13 => {
                let mut id = [0; 12];
                id[self.below(12)] = self.next() as u8;
                Value::owned(Type::ObjectId, &id)
            }
            14 => self.pick(&[Type::MinKey, Type::MaxKey, Type::Undefined]).into_value(),
            15 => self.binary(),
            16 => self.rare(),
            17 | 18 => self.array(depth - 1),
            _ => Value::doc(self.document(depth - 1)),
        }
    }

    pub(super) fn document(&mut self, depth: usize) -> DocBuf {
        let mut doc = DocWriter::new();
        for _ in 0..self.below(4) {
            let name = self.pick(&["", "a", "b", "aa", "\u{1}", "é", "$x", "a.b"]);
            doc.raw(name, self.value(depth).raw().unwrap());
        }
        doc.finish()
    }

    fn array(&mut self, depth: usize) -> Value<'static> {
        let mut array = ArrayWriter::new();
        for _ in 0..self.below(4) {
            array.raw(self.value(depth).raw().unwrap());
        }
        Value::array(array.into_bytes())
    }

    pub(super) fn text(&mut self) -> String {
        let letters = ["a", "b", "\0", "\u{1}", "\u{2}", "é", "z", "\u{10FFFF}"];
        (0..self.below(5)).map(|_| self.pick(&letters)).collect()
    }

    fn binary(&mut self) -> Value<'static> {
        let mut doc = DocWriter::new();
        let bytes: Vec<u8> = (0..self.below(4)).map(|_| self.pick(&[0, 1, 0xFF])).collect();
        doc.binary("", self.pick(&[0, 2, 4, 0x80]), &bytes);
        first(&doc.finish())
    }

    /// Regular expressions, code, DBPointers.
    fn rare(&mut self) -> Value<'static> {
        let text = self.text();
        let string = Value::str(&text).raw().unwrap().data.to_vec();
        match self.below(5) {
            0 => Value::from_vec(Type::Code, string),
            1 => Value::from_vec(Type::Symbol, string),
            2 => {
                let pattern = text.replace('\0', "x");
                let options = self.pick(&["", "i", "im"]);
                Value::from_vec(Type::Regex, format!("{pattern}\0{options}\0").into_bytes())
            }
            3 => Value::from_vec(Type::DbPointer, [string.as_slice(), &[7; 12]].concat()),
            _ => {
                let scope = self.document(0).into_bytes();
                let len = (4 + string.len() + scope.len()) as u32;
                let bytes = [len.to_le_bytes().as_slice(), &string, &scope].concat();
                Value::from_vec(Type::CodeWithScope, bytes)
            }
        }
    }

    fn integer(&mut self) -> i64 {
        let near = self.pick(&[
            0,
            1,
            2,
            10,
            127,
            128,
            1 << 15,
            1 << 31,
            1 << 32,
            (1 << 53) - 1,
            1 << 53,
            1 << 55,
            1 << 56,
            1 << 62,
            i64::MAX,
            i64::MIN,
        ]);
        let shift = self.below(64);
        match self.below(3) {
            0 => near.wrapping_add(self.below(3) as i64 - 1),
            1 => near.wrapping_neg().wrapping_add(self.below(3) as i64 - 1),
            _ => (self.next() as i64) >> shift,
        }
    }

    fn double(&mut self) -> f64 {
        let special = [
            0.0,
            -0.0,
            1.0,
            0.1,
            0.5,
            1.5,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1.0 - f64::EPSILON / 2.0,
            1.0 + f64::EPSILON,
            9_007_199_254_740_993.0,
            1e19,
            0.3,
        ];
        match self.below(5) {
            0 => self.pick(&special),
            1 => -self.pick(&special),
            2 => f64::from_bits(self.next()),
            3 => self.integer() as f64,
            _ => {
                let scale = self.pick(&[1e-3, 0.01, 0.1, 1.0 / 3.0]);
                self.integer() as i32 as f64 * scale
            }
        }
    }

    fn decimal(&mut self) -> Decimal {
        let special = [
            Decimal::NAN,
            Decimal::INFINITY,
            Decimal::NEG_INFINITY,
            Decimal::ZERO,
            Decimal::from_parts(true, 0, 3).unwrap(),
            Decimal::from_parts(false, 1, -6176).unwrap(),
            Decimal::from_parts(false, Decimal::COEFFICIENT_MAX, 6111).unwrap(),
            Decimal::from_parts(true, 1, 400).unwrap(),
            Decimal::from_parts(false, 9_223_372_036_854_775_808, 0).unwrap(),
            Decimal::from_parts(false, 92_233_720_368_547_758_075, -1).unwrap(),
        ];
        match self.below(5) {
            0 => self.pick(&special),
            1 => Decimal::from_f64_wide(self.double()),
            2 => Decimal::from_f64(self.double()),
            3 => Decimal::from(self.integer()),
            _ => {
                let wide = u128::from(self.next()) << 64 | u128::from(self.next());
                let coefficient = (wide >> self.below(128)) % (Decimal::COEFFICIENT_MAX + 1);
                let exponent = match self.below(4) {
                    0 => self.below(12_000) as i32 - 6000,
                    1 => self.below(700) as i32 - 350,
                    _ => self.below(60) as i32 - 45,
                };
                Decimal::from_parts(self.next().is_multiple_of(2), coefficient, exponent).unwrap()
            }
        }
    }

    pub(super) fn number(&mut self) -> Value<'static> {
        match self.below(4) {
            0 => Value::i32(self.integer() as i32),
            1 => Value::i64(self.integer()),
            2 => Value::f64(self.double()),
            _ => Value::decimal(self.decimal().to_bytes()),
        }
    }
}

trait IntoValue {
    fn into_value(self) -> Value<'static>;
}

impl IntoValue for Type {
    fn into_value(self) -> Value<'static> {
        Value::owned(self, &[])
    }
}

fn first(doc: &DocBuf) -> Value<'static> {
    let Raw { kind, data } = doc.as_doc().first().unwrap().value;
    Value::owned(kind, data)
}
