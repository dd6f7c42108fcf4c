//! Text and places: the filters and pipelines that search for them.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::Collection;
use super::insert::unfit;
use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// The name under which a text score comes from the server.
const SCORE: &str = "score";
/// The name under which a computed distance comes from the server.
const DISTANCE: &str = "distance";

/// A document with the score of a text search.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored<T> {
    /// How well it fits; higher is better.
    pub score: f64,
    /// The document; its field `score` is there too.
    pub document: T,
}

/// A document with its distance.
#[derive(Debug, Clone, PartialEq)]
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

/// Searches text; see [`Collection::text_search`].
#[must_use = "nothing happens before it is awaited"]
pub struct TextSearch<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    words: String,
    language: String,
    filter: Document,
    projection: Option<Document>,
    min_score: Option<f64>,
    limit: Option<i64>,
    deadline: Option<Duration>,
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
    /// Searches the collection's text index, best first.
    ///
    /// The embedded database has no text index yet and refuses.
    ///
    /// ```
    /// # async fn example(headwater: headwater::Headwater) -> headwater::Result<()> {
    /// use headwater::bson::Document;
    /// let articles = headwater.collection::<Document>("articles");
    /// let found = articles.text_search("python programming").without("snake").limit(3).await?;
    /// for hit in found {
    ///     println!("{:.2} {}", hit.score, hit.document);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn text_search(&self, words: impl Into<String>) -> TextSearch<'_, T> {
        TextSearch {
            collection: self,
            words: words.into(),
            language: "english".to_owned(),
            filter: Document::new(),
            projection: None,
            min_score: None,
            limit: None,
            deadline: None,
        }
    }

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

deadline!(TextSearch<T>);
deadline!(Near<T>);
deadline!(Within<T>);
awaitable!(TextSearch<T: DeserializeOwned> => Vec<Scored<T>>);
awaitable!(Near<T: DeserializeOwned> => Cursor<T>);
awaitable!(NearWithDistance<T: DeserializeOwned> => Vec<Distant<T>>);
awaitable!(Within<T: DeserializeOwned> => Cursor<T>);

impl<'a, T: Send + Sync> TextSearch<'a, T> {
    /// The language of the words. English.
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = language.into();
        self
    }

    /// Words that must come together and in this order.
    pub fn phrase(mut self, phrase: &str) -> Self {
        self.words.push_str(&format!(" \"{}\"", phrase.replace('"', " ")));
        self
    }

    /// A word that must not come.
    pub fn without(mut self, word: &str) -> Self {
        self.words.push_str(&format!(" -{word}"));
        self
    }

    /// What else must hold.
    pub fn filter(mut self, filter: Document) -> Self {
        self.filter = filter;
        self
    }

    /// Which fields come; the score always does.
    pub fn projection(mut self, projection: Document) -> Self {
        self.projection = Some(projection);
        self
    }

    /// The least score.
    pub fn min_score(mut self, score: f64) -> Self {
        self.min_score = Some(score);
        self
    }

    /// The most documents.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    fn pipeline(&self) -> Vec<Document> {
        let mut filter = doc! { "$text": { "$search": &self.words, "$language": &self.language } };
        if !self.filter.is_empty() {
            // `$text` must stand at the top.
            filter.insert("$and", vec![self.filter.clone()]);
        }
        let mut pipeline = vec![
            doc! { "$match": filter },
            doc! { "$addFields": { SCORE: { "$meta": "textScore" } } },
        ];
        if let Some(least) = self.min_score {
            pipeline.push(doc! { "$match": { SCORE: { "$gte": least } } });
        }
        pipeline.push(doc! { "$sort": { SCORE: -1, "_id": 1 } });
        if let Some(limit) = self.limit.filter(|limit| *limit > 0) {
            pipeline.push(doc! { "$limit": limit });
        }
        if let Some(projection) = &self.projection {
            let excludes = projection.values().all(|value| matches!(value.as_i32(), Some(0)));
            let mut projection = projection.clone();
            if !excludes {
                projection.insert(SCORE, 1);
            }
            pipeline.push(doc! { "$project": projection });
        }
        pipeline
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> TextSearch<'a, T> {
    async fn run(self) -> Result<Vec<Scored<T>>> {
        let mut search = self.collection.aggregate(self.pipeline());
        if let Some(deadline) = self.deadline {
            search = search.deadline(deadline);
        }
        let found = search.all().await?;
        measured(found, SCORE, |score, document| Scored { score, document })
    }
}

fn measured<T: DeserializeOwned, M>(
    found: Vec<Document>,
    name: &str,
    make: impl Fn(f64, T) -> M,
) -> Result<Vec<M>> {
    let read = |document: Document| {
        let measure = document.get(name).and_then(number).unwrap_or_default();
        let document = mongodb::bson::deserialize_from_document(document).map_err(unfit)?;
        Ok(make(measure, document))
    };
    found.into_iter().map(read).collect()
}

fn number(value: &Bson) -> Option<f64> {
    value.as_f64().or_else(|| value.as_i32().map(f64::from))
}

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
