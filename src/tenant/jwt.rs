//! Tenants from the claims of JSON Web Tokens.

use jsonwebtoken::{DecodingKey, Header, Validation, crypto, dangerous, decode, decode_header};
use serde_json::{Map, Value};

use super::resolver::{only_header, source};
use super::{Found, Parts, Resolver};
use crate::{TenantError, TenantId};

type Claims = Map<String, Value>;

/// The claim `name` of the bearer token, **verified** by `key` as `validation` says.
///
/// The token is that of the header `Authorization: Bearer ..`. None, or another scheme, names no tenant. Invalid are a
/// token that does not verify, two of these headers, a verified token without the claim, and a claim that is no string.
///
/// `validation` comes from `jsonwebtoken` 11: it lists the algorithms that are allowed, requires and checks `exp`, and
/// should be given the audience (`set_audience`) and issuer (`set_issuer`) of yours.
///
/// Cryptography is that of `aws-lc-rs`, unless the application has installed another `CryptoProvider` before.
pub fn claim(name: impl Into<String>, key: DecodingKey, validation: Validation) -> Resolver {
    claim_with(name, move |_| Some(key.clone()), validation)
}

/// As [`claim`], with the key that `key_of` has for a token's header: by its `kid`, where the provider has several.
///
/// No key makes the token invalid. `key_of` must not block; the header is what the client sent and nothing of it is
/// verified yet.
pub fn claim_with(
    name: impl Into<String>,
    key_of: impl Fn(&Header) -> Option<DecodingKey> + Send + Sync + 'static,
    validation: Validation,
) -> Resolver {
    // `jsonwebtoken` panics at a token if it has two providers to choose from, as when another crate turns on a second.
    // If there is a choice already, it stays.
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    resolver(name.into(), move |token| {
        let header = decode_header(token).map_err(refused)?;
        let key =
            key_of(&header).ok_or_else(|| source("no key is known that the token could be signed with".into()))?;
        Ok(decode(token, &key, &validation).map_err(refused)?.claims)
    })
}

/// The claim `name` of the bearer token, **read without any verification**: anyone can write such a token.
///
/// For services that only a gateway can reach, which has verified the token and passes it on.
pub fn unverified_claim(name: impl Into<String>) -> Resolver {
    resolver(name.into(), |token| Ok(dangerous::insecure_decode::<Claims>(token).map_err(refused)?.claims))
}

fn resolver(name: String, claims: impl Fn(&str) -> Result<Claims, TenantError> + Send + Sync + 'static) -> Resolver {
    Resolver::bearer(format!("claim {name}"), move |parts| match bearer(parts)? {
        Some(token) => tenant_in(&claims(token)?, &name),
        None => Ok(None),
    })
}

fn bearer<'a>(parts: &Parts<'a>) -> Result<Option<&'a str>, TenantError> {
    let Some(value) = only_header(parts, "authorization")? else { return Ok(None) };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

fn tenant_in(claims: &Claims, name: &str) -> Found {
    match claims.get(name) {
        Some(Value::String(id)) => TenantId::try_from(id).map(Some),
        // A token that proves who asks, and no tenant, must not let a header further down say which.
        None => Err(source(format!("the token has no claim {name:?}"))),
        Some(_) => Err(source(format!("the token's claim {name:?} is no string"))),
    }
}

/// Why a token was refused: its kind of error, and nothing of the token.
fn refused(error: jsonwebtoken::errors::Error) -> TenantError {
    use jsonwebtoken::errors::ErrorKind;
    let kind = match error.into_kind() {
        ErrorKind::InvalidSignature => "its signature is not by the key",
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::MissingRequiredClaim(claim) => {
            return source(format!("the token was refused: it has no claim {claim:?}"));
        }
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "its algorithm is not allowed",
        _ => "it is malformed",
    };
    source(format!("the token was refused: {kind}"))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey, encode, get_current_timestamp};
    use serde_json::json;

    use super::super::header;
    use super::*;

    const SECRET: &[u8] = b"a secret of 32 bytes, for a test";

    fn token(claims: &Value, secret: &[u8]) -> String {
        encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    fn later() -> u64 {
        get_current_timestamp() + 600
    }

    fn verified() -> Resolver {
        claim("tenant_id", DecodingKey::from_secret(SECRET), Validation::new(Algorithm::HS256))
    }

    fn found(resolver: &Resolver, authorization: &str) -> Result<Option<String>, String> {
        let request = http::Request::builder().header("authorization", authorization).header("x-tenant", "forged");
        let request = request.body(()).unwrap();
        match resolver.find(&Parts::of(&request)) {
            Ok(tenant) => Ok(tenant.map(|tenant| tenant.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_verified_claim_names_the_tenant() {
        let token = token(&json!({"tenant_id": "acme", "exp": later()}), SECRET);
        assert_eq!(found(&verified(), &format!("Bearer {token}")), Ok(Some("acme".into())));
        assert_eq!(found(&verified(), &format!("bearer  {token}")), Ok(Some("acme".into())));
        let by_kid = claim_with("tenant_id", |_| Some(DecodingKey::from_secret(SECRET)), Validation::default());
        assert_eq!(found(&by_kid, &format!("Bearer {token}")), Ok(Some("acme".into())));
    }

    #[test]
    fn a_token_that_proves_nothing_is_refused_and_no_header_makes_it_good() {
        let chain = verified().or(header("x-tenant"));
        let acme = json!({"tenant_id": "acme", "exp": later()});
        let unsigned = "eyJhbGciOiJub25lIn0.eyJ0ZW5hbnRfaWQiOiJhY21lIn0.".to_owned();
        let good = token(&acme, SECRET);
        let cases = [
            (token(&acme, b"another secret, of another issue"), "signature"),
            (format!("{}x", &good[..good.len() - 4]), "refused"),
            (token(&json!({"tenant_id": "acme", "exp": 1_000}), SECRET), "expired"),
            (token(&json!({"tenant_id": "acme"}), SECRET), "\"exp\""),
            (token(&json!({"sub": "jane", "exp": later()}), SECRET), "no claim \"tenant_id\""),
            (token(&json!({"tenant_id": 7, "exp": later()}), SECRET), "no string"),
            (token(&json!({"tenant_id": "a\nb", "exp": later()}), SECRET), "control character"),
            (unsigned, "refused"),
            (String::new(), "malformed"),
            ("no.token".into(), "malformed"),
        ];
        for (token, reason) in cases {
            let error = found(&chain, &format!("Bearer {token}")).unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert!(token.len() < 10 || !error.contains(&token), "the token is in the error: {error}");
        }
        let no_key = claim_with("tenant_id", |_| None, Validation::default());
        assert!(found(&no_key, &format!("Bearer {good}")).unwrap_err().contains("no key"));
    }

    #[test]
    fn without_a_bearer_token_the_next_place_is_asked() {
        let chain = verified().or(header("x-tenant"));
        assert_eq!(found(&chain, "Basic amFuZTpw"), Ok(Some("forged".into())));
        assert_eq!(found(&verified(), "Basic amFuZTpw"), Ok(None));
    }

    #[test]
    fn an_unverified_claim_is_only_read_under_that_name() {
        let token = token(&json!({"tenant_id": "acme"}), b"whoever");
        assert_eq!(found(&unverified_claim("tenant_id"), &format!("Bearer {token}")), Ok(Some("acme".into())));
    }

    #[test]
    fn keys_are_not_in_debug_output() {
        assert_eq!(format!("{:?}", verified()), r#"["claim tenant_id"]"#);
    }
}
