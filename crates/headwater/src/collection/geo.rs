//! Searching places: near a point, and within an area.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::Collection;
use super::text::measured;
use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// The name under which a computed distance comes from the server.
const DISTANCE: &str = "distance";

/// A document with its distance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Distant<T> {
    /// How far it is, in metres.
    pub distance: f64,
    /// The document; its field `distance` is there too.
    pub document: T,
}

/// An area. Coordinates are longitude and latitude in degrees.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// A closed line of at least four points, the last of which is the first.
    Polygon(Vec<[f64; 2]>),
    /// From the south-west corner to the north-east corner.
    Box([f64; 2], [f64; 2]),
    /// Everything within so many metres of a point.
    Circle([f64; 2], f64),
}

/// Finds what is near; see [`Collection::near`].
#[must_use = "nothing happens before it is awaited"]
pub struct Near<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    field: String,
    point: [f64; 2],
    min_distance: Option<f64>,
    max_distance: Option<f64>,
    filter: Document,
    limit: Option<i64>,
    deadline: Option<Duration>,
}

/// Finds what is near, with distances; see [`Near::with_distance`].
#[must_use = "nothing happens before it is awaited"]
pub struct NearWithDistance<'a, T: Send + Sync>(Near<'a, T>);

/// Finds what lies within an area; see [`Collection::within`].
#[must_use = "nothing happens before it is awaited"]
pub struct Within<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    field: String,
    shape: Shape,
    filter: Document,
    limit: Option<i64>,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// Finds documents near a point (longitude, latitude in degrees), nearest first.
    ///
    /// The embedded database has no geographic index yet and refuses.
    ///
    /// ```
    /// # async fn example(headwater: headwater::Headwater) -> headwater::Result<()> {
    /// use headwater::bson::Document;
    /// let places = headwater.collection::<Document>("places");
    /// let found = places.near("location", [-73.9857, 40.7484]).max_distance(2_000.0).await?;
    /// for place in found.all().await? {
    ///     println!("{place}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn near(&self, field: impl Into<String>, point: [f64; 2]) -> Near<'_, T> {
        Near {
            collection: self,
            field: field.into(),
            point,
            min_distance: None,
            max_distance: None,
            filter: Document::new(),
            limit: None,
            deadline: None,
        }
    }

    /// Finds documents within an area.
    ///
    /// The embedded database does not know areas yet and refuses.
    ///
    /// ```
    /// # async fn example(headwater: headwater::Headwater) -> headwater::Result<()> {
    /// use headwater::bson::Document;
    /// use headwater::collection::Shape;
    /// let places = headwater.collection::<Document>("places");
    /// let area = Shape::Box([-74.1, 40.6], [-73.9, 40.8]);
    /// println!("{}", places.within("location", area).await?.all().await?.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(&self, field: impl Into<String>, shape: Shape) -> Within<'_, T> {
        Within {
            collection: self,
            field: field.into(),
            shape,
            filter: Document::new(),
            limit: None,
            deadline: None,
        }
    }
}

deadline!(Near<T>);
deadline!(Within<T>);
awaitable!(Near<T: DeserializeOwned> => Cursor<T>);
awaitable!(NearWithDistance<T: DeserializeOwned> => Vec<Distant<T>>);
awaitable!(Within<T: DeserializeOwned> => Cursor<T>);

impl<'a, T: Send + Sync> Near<'a, T> {
    /// The least distance, in metres.
    pub fn min_distance(mut self, metres: f64) -> Self {
        self.min_distance = Some(metres);
        self
    }

    /// The greatest distance, in metres; zero means the very point.
    pub fn max_distance(mut self, metres: f64) -> Self {
        self.max_distance = Some(metres);
        self
    }

    /// What else must hold.
    pub fn filter(mut self, filter: Document) -> Self {
        self.filter = filter;
        self
    }

    /// The most documents.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Computes the distance of each document too.
    pub fn with_distance(self) -> NearWithDistance<'a, T> {
        NearWithDistance(self)
    }

    fn whole_filter(&self) -> Result<Document> {
        check_point(self.point)?;
        let mut near =
            doc! { "$geometry": { "type": "Point", "coordinates": self.point.to_vec() } };
        for (name, metres) in
            [("$minDistance", self.min_distance), ("$maxDistance", self.max_distance)]
        {
            if let Some(metres) = metres {
                near.insert(name, check_metres(metres)?);
            }
        }
        let mut filter = doc! { &self.field: { "$near": near } };
        if !self.filter.is_empty() {
            filter.insert("$and", vec![self.filter.clone()]);
        }
        Ok(filter)
    }

    fn pipeline(&self) -> Result<Vec<Document>> {
        check_point(self.point)?;
        let mut near = doc! {
            "near": { "type": "Point", "coordinates": self.point.to_vec() },
            "key": &self.field,
            "distanceField": DISTANCE,
            "spherical": true,
            "query": self.filter.clone(),
        };
        for (name, metres) in
            [("minDistance", self.min_distance), ("maxDistance", self.max_distance)]
        {
            if let Some(metres) = metres {
                near.insert(name, check_metres(metres)?);
            }
        }
        let mut pipeline = vec![doc! { "$geoNear": near }];
        if let Some(limit) = self.limit.filter(|limit| *limit > 0) {
            pipeline.push(doc! { "$limit": limit });
        }
        Ok(pipeline)
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> Near<'a, T> {
    async fn run(self) -> Result<Cursor<T>> {
        found(self.collection, self.whole_filter()?, self.limit, self.deadline).await
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> NearWithDistance<'a, T> {
    async fn run(self) -> Result<Vec<Distant<T>>> {
        let mut search = self.0.collection.aggregate(self.0.pipeline()?);
        if let Some(deadline) = self.0.deadline {
            search = search.deadline(deadline);
        }
        let found = search.all().await?;
        measured(found, DISTANCE, |distance, document| Distant { distance, document })
    }
}

impl<'a, T: Send + Sync> Within<'a, T> {
    /// What else must hold.
    pub fn filter(mut self, filter: Document) -> Self {
        self.filter = filter;
        self
    }

    /// The most documents.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    fn whole_filter(&self) -> Result<Document> {
        let area = self.shape.area()?;
        let mut filter = doc! { &self.field: { "$geoWithin": area } };
        if !self.filter.is_empty() {
            filter.insert("$and", vec![self.filter.clone()]);
        }
        Ok(filter)
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> Within<'a, T> {
    async fn run(self) -> Result<Cursor<T>> {
        found(self.collection, self.whole_filter()?, self.limit, self.deadline).await
    }
}

async fn found<T: DeserializeOwned + Send + Sync>(
    collection: &Collection<T>,
    filter: Document,
    limit: Option<i64>,
    deadline: Option<Duration>,
) -> Result<Cursor<T>> {
    let mut find = collection.find(filter);
    if let Some(limit) = limit {
        find = find.limit(limit);
    }
    if let Some(deadline) = deadline {
        find = find.deadline(deadline);
    }
    find.await
}

impl Shape {
    fn area(&self) -> Result<Document> {
        /// The radius by which MongoDB turns metres into radians.
        const EARTH_METRES: f64 = 6_378_100.0;
        match self {
            Shape::Polygon(line) => {
                line.iter().try_for_each(|point| check_point(*point))?;
                if line.len() < 4 || line.first() != line.last() {
                    return Err(Error::validation(
                        "a polygon needs at least four points, the last being the first",
                    ));
                }
                let line: Vec<Bson> = line.iter().map(|point| point.to_vec().into()).collect();
                Ok(doc! { "$geometry": { "type": "Polygon", "coordinates": [line] } })
            }
            Shape::Box(low, high) => {
                check_point(*low)?;
                check_point(*high)?;
                Ok(doc! { "$box": [low.to_vec(), high.to_vec()] })
            }
            Shape::Circle(centre, metres) => {
                check_point(*centre)?;
                let radians = check_metres(*metres)? / EARTH_METRES;
                let sphere = vec![Bson::from(centre.to_vec()), radians.into()];
                Ok(doc! { "$centerSphere": sphere })
            }
        }
    }
}

fn check_point([longitude, latitude]: [f64; 2]) -> Result<()> {
    // Comparisons with a NaN are false.
    if (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude) {
        return Ok(());
    }
    Err(Error::validation(
        "coordinates are a longitude from -180 to 180 and a latitude from -90 to 90",
    ))
}

fn check_metres(metres: f64) -> Result<f64> {
    if metres.is_finite() && metres >= 0.0 {
        return Ok(metres);
    }
    Err(Error::validation("a distance is a number of metres from zero up"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headwater;
    use mongodb::options::ClientOptions;

    async fn places() -> Collection<Document> {
        let options = ClientOptions::parse("mongodb://127.0.0.1:1").await.unwrap();
        Headwater::connect_with(options).unwrap().collection("places")
    }

    #[tokio::test]
    async fn d22_a_distance_of_zero_is_honoured() {
        let places = places().await;
        let near = places.near("at", [1.0, 2.0]).max_distance(0.0).min_distance(0.0);
        let point = doc! { "type": "Point", "coordinates": [1.0, 2.0] };
        let filter = near.filter(doc! { "open": true }).whole_filter().unwrap();
        assert_eq!(
            filter,
            doc! {
                "at": { "$near": { "$geometry": point, "$minDistance": 0.0, "$maxDistance": 0.0 } },
                "$and": [{ "open": true }],
            }
        );
    }

    #[tokio::test]
    async fn r14_areas_are_checked_and_distances_computed() {
        let places = places().await;
        let near = places.near("at", [1.0, 2.0]).max_distance(5.0).limit(2);
        let pipeline = near.pipeline().unwrap();
        let near = pipeline[0].get_document("$geoNear").unwrap();
        assert_eq!(near.get("maxDistance"), Some(&5.0.into()));
        assert_eq!(pipeline[1], doc! { "$limit": 2_i64 });
        let within = |shape| places.within("at", shape).whole_filter();
        let circle = within(Shape::Circle([0.0, 0.0], 6_378_100.0)).unwrap();
        let sphere: Vec<Bson> = vec![vec![0.0, 0.0].into(), 1.0.into()];
        assert_eq!(circle, doc! { "at": { "$geoWithin": { "$centerSphere": sphere } } });
        let line = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
        assert!(within(Shape::Polygon(line.clone())).is_ok());
        assert!(within(Shape::Polygon(line[..3].to_vec())).is_err());
        assert!(within(Shape::Box([0.0, 0.0], [1.0, 91.0])).is_err());
    }
}
