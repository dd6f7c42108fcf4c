//! The ticker application: stock prices that change live through a change stream.
