//! Searching text: the pipeline that scores, and its results.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::Collection;
use super::insert::unread;
use crate::error::Result;

/// The name under which a text score comes from the server.
const SCORE: &str = "score";
/// A document with the score of a text search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scored<T> {
    /// How well it fits; higher is better.
    pub score: f64,
    /// The document; its field `score` is there too.
    pub document: T,
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
}

deadline!(TextSearch<T>);
awaitable!(TextSearch<T: DeserializeOwned> => Vec<Scored<T>>);

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

/// Documents with the measure that the server put into a field.
pub(super) fn measured<T: DeserializeOwned, M>(
    found: Vec<Document>,
    name: &str,
    make: impl Fn(f64, T) -> M,
) -> Result<Vec<M>> {
    let read = |document: Document| {
        let measure = document.get(name).and_then(number).unwrap_or_default();
        let document = mongodb::bson::deserialize_from_document(document).map_err(unread)?;
        Ok(make(measure, document))
    };
    found.into_iter().map(read).collect()
}

fn number(value: &Bson) -> Option<f64> {
    value.as_f64().or_else(|| value.as_i32().map(f64::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headwater;
    use mongodb::options::ClientOptions;

    #[tokio::test]
    async fn r13_text_searches_score_sort_and_filter() {
        let options = ClientOptions::parse("mongodb://127.0.0.1:1").await.unwrap();
        let articles = Headwater::connect_with(options).unwrap().collection::<Document>("a");
        let plain = articles.text_search("python").pipeline();
        assert_eq!(
            plain,
            [
                doc! { "$match": { "$text": { "$search": "python", "$language": "english" } } },
                doc! { "$addFields": { "score": { "$meta": "textScore" } } },
                doc! { "$sort": { "score": -1, "_id": 1 } },
            ]
        );
        let full = articles
            .text_search("python")
            .phrase("by \"example\"")
            .without("snake")
            .language("none")
            .filter(doc! { "year": 2020 })
            .min_score(1.5)
            .limit(3)
            .projection(doc! { "title": 1 })
            .pipeline();
        let text = doc! { "$search": "python \"by  example \" -snake", "$language": "none" };
        assert_eq!(full[0], doc! { "$match": { "$text": text, "$and": [{ "year": 2020 }] } });
        assert_eq!(full[2], doc! { "$match": { "score": { "$gte": 1.5 } } });
        assert_eq!(
            full[4..],
            [doc! { "$limit": 3_i64 }, doc! { "$project": { "title": 1, "score": 1 } }]
        );
    }
}
