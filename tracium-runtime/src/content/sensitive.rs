//! Which keys hold secrets.
//!
//! A key is read as one lower-case text without separators (`X-Api-Key`, `apiKey` and `api_key` are `apikey`), of which
//! we remember where words began: `classname` holds `ssn` and `discard_number` holds `cardnumber`, but no word does.

/// Only this much of a key is read, from its end, where the telling word stands.
const LONGEST: usize = 96;

/// A name that makes a key sensitive, and where in the key it has to stand.
struct Rule {
    text: &'static [u8],
    /// It must begin a word.
    begins: bool,
    /// What must end with it.
    ends: Ends,
}

/// What a rule's text has to end.
#[derive(PartialEq, Eq)]
enum Ends {
    Anywhere,
    Word,
    Key,
}

/// A rule that holds wherever the text stands.
const fn anywhere(text: &'static [u8]) -> Rule {
    Rule { text, begins: false, ends: Ends::Anywhere }
}

/// A rule for the end of a key: `authorization_url` is no secret.
const fn last(text: &'static [u8]) -> Rule {
    Rule { text, begins: false, ends: Ends::Key }
}

/// A rule for a word by itself.
const fn word(text: &'static [u8]) -> Rule {
    Rule { text, begins: true, ends: Ends::Word }
}

/// A rule for the last word.
const fn last_word(text: &'static [u8]) -> Rule {
    Rule { text, begins: true, ends: Ends::Key }
}

/// Grouped by their first letters, for `RANGES`.
const RULES: &[Rule] = &[
    anywhere(b"apikey"),
    anywhere(b"accesskey"),
    last(b"authorization"),
    last(b"authorizationheader"),
    last(b"authkey"),
    last_word(b"bearer"),
    anywhere(b"creditcard"),
    anywhere(b"connectionstring"),
    last(b"cookie"),
    last(b"cookies"),
    last(b"credential"),
    last(b"credentials"),
    last_word(b"creds"),
    word(b"cvv"),
    word(b"cvv2"),
    word(b"cvc"),
    word(b"cvc2"),
    Rule { text: b"cardnumber", begins: true, ends: Ends::Anywhere },
    anywhere(b"debitcard"),
    last_word(b"dsn"),
    last(b"encryptionkey"),
    last_word(b"jwt"),
    last(b"masterkey"),
    anywhere(b"password"),
    anywhere(b"passwd"),
    anywhere(b"pwd"),
    anywhere(b"passphrase"),
    anywhere(b"passcode"),
    anywhere(b"privatekey"),
    anywhere(b"socialsecuritynum"),
    last(b"socialsecurity"),
    last(b"socialsecurityno"),
    last(b"signingkey"),
    last(b"subscriptionkey"),
    last(b"sshkey"),
    word(b"ssn"),
];

/// Where in `RULES` the rules of a letter begin and end.
const RANGES: [(usize, usize); 26] = {
    let mut ranges = [(0, 0); 26];
    let mut at = 0;
    while at < RULES.len() {
        let letter = (RULES[at].text[0] - b'a') as usize;
        if ranges[letter].1 == 0 {
            ranges[letter].0 = at;
        }
        ranges[letter].1 = at + 1;
        at += 1;
    }
    ranges
};

/// Keys that are secrets only as a whole: `pinned` and `auth_method` are none.
const WHOLE: &[&[u8]] = &[b"pin", b"auth"];

/// What may stand before `token` where it is a piece of text, a page or a price, not a credential.
const BENIGN_TOKENS: &str = "audio begin bos chosen cls completion continuation cost current each end eos every \
    first generated image input last mask max min next nextpage num output pad page per \
    predicted prev previous price prompt reasoning sampled sep special start stop sync \
    text top total unk";

/// What a credential's `token` may be followed by; anything else (`_count`, `_usage`, `_type`, `s`) tells of tokens.
const TOKEN_ENDINGS: &str = "value header string hash";

/// Plurals that no count is called by.
const TOKEN_PLURALS: &str = "accesstokens refreshtokens authtokens bearertokens";

/// How `secret` goes on in words that hide nothing: secretary, secretion, secretive, secretly, secrete.
const BENIGN_SECRETS: &str = "ar io iv ly e";

/// True for a key whose value must not be captured, whatever its type.
///
/// Case, `-`, `_`, spaces and camelCase make no difference. A bare `token` counts as a credential (and so do the `token`
/// fields of log probabilities); counts of tokens do not.
pub(crate) fn is_sensitive(key: &str) -> bool {
    let key = Key::read(key);
    let text = key.text();
    WHOLE.contains(&text) || (0..text.len()).any(|at| key.matches(at))
}

/// What a key says about the value of its neighbour: lists of headers name the secret beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRole {
    /// `name` or `key`: its value may be a sensitive name.
    Name,
    /// `value`: what that name names.
    Value,
    /// Any other key.
    Other,
}

impl KeyRole {
    /// The role of a key, without regard to case.
    pub(super) fn of(key: &str) -> Self {
        if key.eq_ignore_ascii_case("name") || key.eq_ignore_ascii_case("key") {
            Self::Name
        } else if key.eq_ignore_ascii_case("value") || key.eq_ignore_ascii_case("values") {
            Self::Value
        } else {
            Self::Other
        }
    }
}

/// A key without case and separators, on the stack.
struct Key {
    text: [u8; LONGEST],
    len: usize,
    /// Bit n: a word begins at n. The bit after the last letter is set as well.
    starts: u128,
}

impl Key {
    /// Reads a key; letters other than ASCII separate words.
    fn read(key: &str) -> Self {
        let bytes = &key.as_bytes()[key.len().saturating_sub(LONGEST)..];
        let mut read = Self { text: [0; LONGEST], len: 0, starts: 0 };
        let mut previous = b'_';
        for (at, &byte) in bytes.iter().enumerate() {
            if byte.is_ascii_alphanumeric() {
                let next_is_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
                let begins = !previous.is_ascii_alphanumeric()
                    || (byte.is_ascii_uppercase() && (!previous.is_ascii_uppercase() || next_is_lower));
                read.starts |= u128::from(begins) << read.len;
                read.text[read.len] = byte.to_ascii_lowercase();
                read.len += 1;
            }
            previous = byte;
        }
        read.starts |= 1 << read.len;
        read
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// True when a word begins at `at`, or the key ends there.
    fn begins(&self, at: usize) -> bool {
        self.starts >> at & 1 == 1
    }

    /// True when a sensitive name stands at `at`.
    fn matches(&self, at: usize) -> bool {
        let rest = &self.text()[at..];
        match rest[0] {
            b't' if rest.starts_with(b"token") && self.is_credential_token(at) => return true,
            b's' if rest.starts_with(b"secret") => {
                let end = at + b"secret".len();
                let goes_on = |with: &str| self.text()[end..].starts_with(with.as_bytes());
                if self.begins(end) || !BENIGN_SECRETS.split(' ').any(goes_on) {
                    return true;
                }
            }
            b'a'..=b'z' => {}
            _ => return false,
        }
        let (from, to) = RANGES[usize::from(rest[0] - b'a')];
        RULES[from..to].iter().any(|rule| {
            rest.starts_with(rule.text)
                && (!rule.begins || self.begins(at))
                && match rule.ends {
                    Ends::Anywhere => true,
                    Ends::Word => self.begins(at + rule.text.len()),
                    Ends::Key => rest.len() == rule.text.len(),
                }
        })
    }

    /// True when the `token` at `at` is a credential.
    fn is_credential_token(&self, at: usize) -> bool {
        let (before, after) = (&self.text()[..at], &self.text()[at + b"token".len()..]);
        if after == b"s" {
            return TOKEN_PLURALS.split(' ').any(|plural| self.text().ends_with(plural.as_bytes()));
        }
        let ending = |word: &str| after == word.as_bytes();
        let benign = |word: &str| before.ends_with(word.as_bytes()) && self.begins(at - word.len());
        (after.is_empty() || TOKEN_ENDINGS.split(' ').any(ending)) && !BENIGN_TOKENS.split(' ').any(benign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sensitive_in_every_spelling() {
        for key in "password,PASSWORD,userPassword,db-passwd,pwd,user_pwd,passphrase,secret,secrets,\
            client_secret,clientSecret,SECRET_KEY,secret_article,secretAccessKey,token,Token,\
            access_token,accessToken,accesstoken,refresh-token,id_token,auth_token,api_token,\
            session_token,csrf_token,X-CSRF-Token,x-amz-security-token,hf_token,access_tokens,\
            token_value,authorization,Proxy-Authorization,proxy_authorization,cookie,Cookies,\
            Set-Cookie,api_key,apikey,apiKey,APIKey,X-API-Key,x-goog-api-key,openai_api_key,\
            private_key,privateKeyPem,credential,credentials,aws_credentials,ssn,SSN,\
            customerSsn,ssn_last4,social_security,social_security_number,socialSecurityNumber,\
            credit_card,creditCardNumber,card_number,cardNumber,cvv,cvc,card_cvv2,pin,PIN,\
            connection_string,ConnectionString,dsn,DSN,sentry_dsn,jwt,userJwt,bearer,\
            bearer_token,auth,api key,Ocp-Apim-Subscription-Key,aws_access_key_id"
            .split(',')
        {
            assert!(is_sensitive(key), "{key}");
        }
    }

    #[test]
    fn words_of_llm_programs_are_not_sensitive() {
        for key in "_,é,key,keys,name,value,tokens,max_tokens,maxTokens,input_tokens,total_tokens,\
            prompt_tokens,token_count,tokenCount,token_usage,completion_tokens_details,\
            prompt_tokens_details,tokenizer,tokenize,detokenized,token_ids,token_type,\
            token_limit,session_tokens,eos_token,eos_token_id,stop_token,pad_token,\
            next_page_token,nextPageToken,next_token,time_to_first_token,cost_per_token,\
            max_token,secretary,secretaryName,secretion,secretly,pinned,pins,pin_count,pinecone,\
            shipping,classname,className,discard_number,authorization_url,author,authors,\
            auth_method,cookie_policy,cookiecutter,credential_type,primary_key,cache_key,\
            idempotency_key,monkey,keyboard,jwt_issuer,pass,passed,compass,bearing,dsn_type,\
            question,prompt,messages,content,session_id,user_id,tool_calls,arguments"
            .split(',')
        {
            assert!(!is_sensitive(key), "{key}");
        }
    }

    #[test]
    fn long_keys_are_judged_by_their_end() {
        assert!(is_sensitive(&("é".repeat(100_000) + "_password")));
        assert!(!is_sensitive(&"long text without an end ".repeat(1000)));
    }
}
