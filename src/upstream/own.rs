//! The exchange of a private route: one client's request and the origin's response to it.

use super::connect::{Connector, Request, Response};
use super::exchange::{misframed, not_followed, send};
use super::redirect::{hide_origin, is_followed};
use super::{Origin, UpstreamOptions};
use crate::hub::End;
use http::StatusCode;
use http::header::{CONTENT_LOCATION, LOCATION};

/// Sends the request of one client. The response may have any status. Its body is not read yet. Its head is changed
/// only to hide the origin's address.
///
/// # Errors
/// Fails when there is no response, or when it cannot be passed on.
pub async fn own_answer(
    connector: &Connector,
    origin: &Origin,
    options: &UpstreamOptions,
    request: &Request,
) -> Result<Box<Response>, End> {
    let connector = connector.for_stream(origin, options).ok_or(End::NoDescriptor)?;
    let mut response = send(&connector, origin, options, request, &mut true).await.map_err(End::Failed)?;
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(End::Unusable("origin changes the protocol (101), which the request did not ask for".to_owned()));
    }
    if let Some(why) = misframed(&response.headers) {
        return Err(End::Unusable(why));
    }
    if hide_origin(origin, &request.path_and_query, &mut response.headers) {
        if is_followed(response.status) {
            return Err(End::Unusable(not_followed(response.status, &response.headers, true)));
        }
        response.headers.remove(LOCATION);
        response.headers.remove(CONTENT_LOCATION);
    }
    Ok(Box::new(response))
}
