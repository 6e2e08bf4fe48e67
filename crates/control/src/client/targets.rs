//! Questions as the targets of requests. Not within them, since the serializer must not be held across an
//! await.

use crate::protocol::{EntriesQuery, FileQuery, JobsQuery};

pub(crate) fn jobs_route(query: &JobsQuery) -> String {
    let JobsQuery {
        states,
        path,
        limit,
    } = query;
    let mut parameters = form_urlencoded::Serializer::new("/v1/jobs?".to_owned());
    for state in states {
        parameters.append_pair("state", state.as_str());
    }
    if let Some(path) = path {
        parameters.append_pair("path", &path.0);
    }
    if let Some(limit) = limit {
        parameters.append_pair("limit", &limit.to_string());
    }
    parameters.finish()
}

pub(crate) fn file_route(query: &FileQuery) -> String {
    let FileQuery { root, path } = query;
    let mut parameters = form_urlencoded::Serializer::new("/v1/file?".to_owned());
    parameters.append_pair("path", path.as_str());
    if let Some(root) = root {
        parameters.append_pair("root", &root.to_string_lossy());
    }
    parameters.finish()
}

pub(crate) fn entries_route(query: &EntriesQuery) -> String {
    let EntriesQuery { after } = query;
    let mut parameters = form_urlencoded::Serializer::new("/v1/cache/entries?".to_owned());
    if let Some(after) = after {
        parameters.append_pair("after", &after.to_string());
    }
    parameters.finish()
}
