//! Documents in, out, changed, counted and gone; without a server, as the environment names none.
//!
//! `cargo run -p headwater --example basic`

use headwater::bson::doc;
use headwater::{Headwater, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct User {
    name: String,
    age: i32,
}

#[tokio::main]
async fn main() -> Result<()> {
    // With a server: `Headwater::connect("mongodb://…")`, or `Headwater::from_env()` for what the environment says.
    let headwater = Headwater::open_in_memory().await?;
    let users = headwater.collection::<User>("users");

    let ada = User { name: "Ada".to_owned(), age: 36 };
    let id = users.insert_one(&ada).await?;
    let others = [("Grace", 47), ("Alan", 41), ("Edsger", 29)];
    users.insert_many(others.map(|(name, age)| User { name: name.to_owned(), age })).await?;

    println!("by id: {:?}", users.find_by_id(id.clone()).await?);
    let adults = users.find_many(doc! { "age": { "$gte": 40 } }).sort(doc! { "age": -1 }).await?;
    println!("40 and more: {adults:?}");

    let updated = users.update_by_id(id.clone(), doc! { "$inc": { "age": 1 } }).await?;
    println!("updated: {}", updated.modified_count);
    println!("deleted: {}", users.delete_by_id(id).await?);
    println!("left: {}", users.count(doc! {}).await?);
    headwater.close().await;
    Ok(())
}
