//! Lists, fetched lazily page by page: they continue past empty pages, end after an error, and can be resumed.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::iter::FusedIterator;
use std::time::Duration;
use std::vec::IntoIter;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Call, check_bounds};
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::lenient;
use crate::nomic::Nomic;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de>"))]
#[non_exhaustive]
pub struct Page<T> {
    /// The items, in the server's order. May be empty even if more pages follow.
    #[serde(deserialize_with = "lenient::list")]
    pub data: Vec<T>,
    /// The cursor of the next page; `None` on the last page. It is opaque: pass it unchanged to [`Listing::starting_at`].
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub next_cursor: Option<String>,
    /// The number of items in the whole list, if the service counts them.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub total_count: Option<u64>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An iterator over the items of a list, which fetches pages as they are needed.
///
/// Nothing is sent before the first item or page is requested. An error is yielded once and ends the iteration;
/// [`cursor`](Self::cursor) then returns the cursor of the page that failed, so that you can resume there with
/// [`starting_at`](Self::starting_at). In addition to the errors of any call, it may be
/// [`RepeatedCursor`](crate::ErrorKind::RepeatedCursor), or [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the page
/// size is out of bounds.
///
/// ```no_run
/// use nomic_client::{Nomic, Result};
///
/// let nomic = Nomic::from_env()?;
/// let newest: Result<Vec<_>> = nomic.agents().take(10).collect();
///
/// let mut agents = nomic.agents().page_size(100).starting_at("a cursor stored by an earlier run");
/// for agent in agents.by_ref() {
///     match agent {
///         Ok(agent) => println!("{}: {}", agent.id, agent.status),
///         Err(error) => eprintln!("{error}"), // the last item
///     }
/// }
/// println!("resume at {:?}", agents.cursor()); // `None` if there was no error
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a listing is lazy: nothing is sent until it is iterated"]
pub struct Listing<T>(Pages<T>);

/// An iterator over the pages of a list, created by [`Listing::pages`].
#[derive(Debug)]
#[must_use = "pages are lazy: nothing is sent until they are iterated"]
pub struct Pages<T> {
    nomic: Nomic,
    /// The request without cursor and limit, or the first error; `None` at the end.
    call: Option<Result<Call<'static>>>,
    page_size: Option<u32>,
    largest_page: Option<u32>,
    /// The cursor of the next page.
    cursor: Option<String>,
    /// The remaining items of the current page of a `Listing`.
    items: IntoIter<T>,
    /// The cursor of that page.
    items_cursor: Option<String>,
    /// Hashes of the cursors that were requested. Two of them collide with a probability of 2^-64.
    seen: HashSet<u64>,
    /// The request of the object that has the items in its field `artifacts`, in case there is no list.
    owner: Option<Call<'static>>,
}

/// The items in a field of an object.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Artifacts<T> {
    #[serde(deserialize_with = "lenient::list")]
    artifacts: Vec<T>,
}

impl<T: DeserializeOwned> Listing<T> {
    pub(crate) fn new(nomic: &Nomic, call: Result<Call<'static>>, largest_page: Option<u32>) -> Self {
        Self(Pages {
            nomic: nomic.clone(),
            call: Some(call),
            page_size: None,
            largest_page,
            cursor: None,
            items: IntoIter::default(),
            items_cursor: None,
            seen: HashSet::new(),
            owner: None,
        })
    }

    /// Reads the items from the field `artifacts` too: of a response that is not a page, or else, if there is no list, of
    /// the object that owns them.
    pub(crate) fn or_artifacts_of(mut self, owner: Option<Call<'static>>) -> Self {
        self.0.owner = owner;
        self
    }

    /// Sets the number of items on a page. Defaults to the server's choice. If the API does not allow the size, nothing is
    /// sent, and the first item is an error.
    pub fn page_size(mut self, items: u32) -> Self {
        self.0.page_size = Some(items);
        self
    }

    /// Starts at a cursor from an earlier [`Listing`] or [`Page`] of the same list.
    pub fn starting_at(mut self, cursor: impl Into<String>) -> Self {
        self.0.cursor = Some(cursor.into());
        self
    }

    /// Iterates page by page, to get the `total_count` or to store the cursor of every page. If a page was partly iterated,
    /// its remaining items come first, as a separate page.
    pub fn pages(self) -> Pages<T> {
        self.0
    }

    /// Whether all items were yielded, or an error ended the list. [`cursor`](Self::cursor) alone cannot tell the end from
    /// the beginning, because it is `None` at both.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// The cursor of the page with the next item, to resume after a crash. Items of that page that were already yielded are
    /// yielded again. `None` at the beginning and after the end.
    pub fn cursor(&self) -> Option<&str> {
        self.0.cursor()
    }
}

impl<T: DeserializeOwned> Iterator for Listing<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let pages = &mut self.0;
        loop {
            if let Some(item) = pages.items.next() {
                return Some(Ok(item));
            }
            pages.items_cursor = pages.cursor.clone();
            match pages.next()? {
                Ok(page) => pages.items = page.data.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<T: DeserializeOwned> FusedIterator for Listing<T> {}

impl<T> Pages<T> {
    /// The cursor of the next page, or after an error of the page that failed. `None` at the beginning and after the end.
    pub fn cursor(&self) -> Option<&str> {
        if self.items.len() > 0 { self.items_cursor.as_deref() } else { self.cursor.as_deref() }
    }

    /// Whether the last page was yielded, or an error ended the list.
    pub fn is_finished(&self) -> bool {
        self.items.len() == 0 && self.call.is_none()
    }

    /// Sets the time limit of the next page.
    pub(crate) fn within(&mut self, limit: Duration) {
        self.call = self.call.take().map(|call| call.map(|call| call.within(limit)));
    }
}

impl<T: DeserializeOwned> Pages<T> {
    fn fetch(&mut self, call: Call<'static>) -> Result<Page<T>> {
        // Detects a cycle of any length before another request is sent.
        if let Some(cursor) = &self.cursor {
            let hash = self.seen.hasher().hash_one(cursor);
            if !self.seen.insert(hash) {
                let cursor = self.nomic.redacted(cursor);
                return Err(Error::new(call.operation, ErrorKind::RepeatedCursor { cursor }));
            }
        }
        check_bounds(&call.operation, "page_size", self.page_size, 1..=self.largest_page.unwrap_or(u32::MAX))?;
        let request = call.clone().query_if("limit", self.page_size).query_if("cursor", self.cursor.as_ref());
        let mut page = match &self.owner {
            None => self.nomic.fetch(&request)?,
            Some(owner) => self.fetch_artifacts(&request, owner)?,
        };
        // An empty cursor would start over.
        page.next_cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
        self.cursor.clone_from(&page.next_cursor);
        self.call = self.cursor.is_some().then_some(Ok(call));
        Ok(page)
    }

    fn fetch_artifacts(&self, request: &Call<'_>, owner: &Call<'_>) -> Result<Page<T>> {
        let all =
            |Artifacts { artifacts }| Page { data: artifacts, next_cursor: None, total_count: None, extra: Map::new() };
        let read = |body: &[u8]| {
            let named = || json::decode_data(body).ok();
            let bare = || json::decode(body).ok().map(|artifacts| Artifacts { artifacts });
            json::decode(body).or_else(|failure| named().or_else(bare).map(all).ok_or(failure))
        };
        self.nomic.read(request, read).or_else(|error| {
            let is_no_list = error.is_not_found()
                || matches!(error.kind(), ErrorKind::Decode(error)
                    if error.path == "$" && (!error.malformed || error.body.is_empty()));
            match self.cursor {
                None if is_no_list => self.nomic.fetch_data(owner).map(all).map_err(|_| error),
                _ => Err(error),
            }
        })
    }
}

impl<T: DeserializeOwned> Iterator for Pages<T> {
    type Item = Result<Page<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.items.len() > 0 {
            let data = std::mem::take(&mut self.items).collect();
            let next_cursor = self.cursor.clone();
            return Some(Ok(Page { data, next_cursor, total_count: None, extra: Map::new() }));
        }
        let call = self.call.take()?;
        Some(call.and_then(|call| self.fetch(call)))
    }
}

impl<T: DeserializeOwned> FusedIterator for Pages<T> {}
