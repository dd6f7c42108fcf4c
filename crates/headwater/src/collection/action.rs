//! What all builders of operations have in common, written once: setters of options, the deadline, being awaited.

/// Setters of a builder with a field `options` of the driver's type and a field `deadline`.
macro_rules! setters {
    ($builder:ident<$T:ident>, $options:ty { $($(#[$doc:meta])* $name:ident: $type:ty),* $(,)? }) => {
        impl<'a, $T: Send + Sync> $builder<'a, $T> {
            $(
                $(#[$doc])*
                pub fn $name(mut self, value: $type) -> Self {
                    self.options.$name = Some(value);
                    self
                }
            )*

            /// All options of the driver at once; those set before are forgotten.
            pub fn with_options(mut self, options: $options) -> Self {
                self.options = options;
                self
            }

            /// How long the whole call may take, attempts and pauses included. As the connector's settings say.
            pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
                self.deadline = Some(deadline);
                self
            }
        }
    };
}

/// The deadline of a builder that has no options of the driver.
macro_rules! deadline {
    ($builder:ident<$T:ident>) => {
        impl<'a, $T: Send + Sync> $builder<'a, $T> {
            /// How long the whole call may take, attempts and pauses included. As the connector's settings say.
            pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
                self.deadline = Some(deadline);
                self
            }
        }
    };
}

/// Makes a builder with an `async fn run(self)` awaitable.
macro_rules! awaitable {
    ($builder:ident<$T:ident $(: $bound:path)?> => $output:ty) => {
        impl<'a, $T: Send + Sync + 'a $(+ $bound)?> IntoFuture for $builder<'a, $T> {
            type Output = $crate::Result<$output>;
            type IntoFuture = $crate::BoxFuture<'a, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        }
    };
}
