"""Made-up secrets that were read while the detection was written."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

from vox_assets_tests.curate.secret_cases.made_up import MadeUp

_m = MadeUp(4_711)
_npm = "np" + "m_" + _m.alnum(36)
_aws = "AK" + "IA" + _m.upper(16)
_stripe = "sk_" + "live_" + _m.alnum(32)
_mail = "p.okonkwo" + "@" + "baobab-freight.co.za"

SECRETS = {
    # Providers of models.
    "openai project key in yaml": f"openai:\n  key: sk-{'proj'}-{_m.alnum(48)}",
    "openai admin key": f"curl -H 'Authorization: Bearer sk-{'admin'}-{_m.url64(80)}' $URL",
    "openai key with its marker": f"s{'k'}-{_m.alnum(20)}T3BlbkFJ{_m.alnum(20)}",
    "anthropic admin key": f"sk-{'ant'}-admin01-{_m.url64(93)}AA",
    "anthropic key cut": f'"x-api-key": "sk-{"ant"}-api03-{_m.url64(40)}"',
    "hugging face token with digits": f"HF_TOKEN=h{'f_'}{_m.alnum(34)}",
    "groq key in code": f'Groq::builder().key("gs{"k_"}{_m.alnum(52)}")',
    "google key in code": f"const MAPS_KEY = 'AI{'za'}{_m.url64(35)}';",
    "mistral key in a setter": f'client.with_mistral_key("{_m.alnum(32)}")',
    "cohere variable": f"CO_API_KEY={_m.alnum(40)}",
    "replicate header": f"Authorization: Token r{'8_'}{_m.alnum(37)}",
    "xai key in an export": f"export XAI_API_KEY=xa{'i-'}{_m.alnum(80)}",
    "openrouter key in prose": f"We used sk-{'or'}-v1-{_m.hex(64)} for the run.",
    "fireworks key": f"FIREWORKS_API_KEY=fw_{_m.alnum(24)}",
    "elevenlabs key": f"xi-api-key: sk_{_m.hex(48)}",
    "azure openai key": f"AZURE_OPENAI_API_KEY={_m.hex(32)}",
    "voyage key": f"voyage: pa-{_m.url64(43)}",
    "tavily key": f"tv{'ly-'}{_m.alnum(32)}",
    "jina key": f"Authorization: Bearer ji{'na_'}{_m.hex(32)}{_m.url64(28)}",
    "wandb key": f"wandb login {_m.hex(40)}",
    # Forges.
    "github token in a header": f'.header("Authorization", "Bearer gh{"p_"}{_m.alnum(36)}")',
    "github token of a user": f"'gh{'u_'}{_m.alnum(36)}'",
    "github refresh token": f"refresh: gh{'r_'}{_m.alnum(76)}",
    "gitlab token in a url": f"https://oauth2:gl{'pat-'}{_m.url64(20)}@gitlab.com/baobab/x.git",
    "gitlab deploy token": f"gl{'dt-'}{_m.url64(20)}",
    "gitlab trigger token": f"TRIGGER=gl{'ptt-'}{_m.hex(40)}",
    "gitea token in a header": f"-H 'Authorization: token {_m.hex(40)}'",
    "bitbucket access token": f"AT{'CTT3'}xFfGN0{_m.url64(170)}={_m.upper(8)}",
    "atlassian token": f"JIRA_TOKEN=AT{'ATT3'}xFfGF0{_m.url64(178)}={_m.upper(8)}",
    # Clouds.
    "aws id alone": f"export AWS_ACCESS_KEY_ID={_aws}",
    "aws secret in yaml": f"aws:\n  secretAccessKey: {_m.base64(30)}",
    "aws session token": f"AWS_SESSION_TOKEN={_m.base64(150)}",
    "azure storage key": f'let key = "AccountKey={_m.base64(64)}";',
    "azure service bus": "Endpoint=sb://b.net/;SharedAccessKeyName=r;"
    f"SharedAccessKey={_m.base64(32)}",
    "azure sas token": "?sv=2022-11-02&ss=b&srt=o&sp=rl&se=2030"
    f"&sig={quote(_m.base64(32), safe='')}",
    "google refresh token": f'"refresh_token": "1//0{_m.url64(60)}"',
    "google access token": f"ya{'29.'}{_m.url64(120)}",
    "digitalocean refresh token": f"do{'r_v1_'}{_m.hex(64)}",
    "cloudflare global key": f"X-Auth-Key: {_m.hex(37)}",
    "fly machine token": f"fo{'1_'}{_m.url64(43)}",
    "vercel variable": f"VERCEL_TOKEN={_m.alnum(24)}",
    "heroku key of the second form": f"HR{'KU-AA'}{_m.url64(58)}",
    "heroku key in netrc": f"machine api.heroku.com\n  login p\n  password {_m.uuid()}",
    "supabase token": f"sb{'p_'}{_m.hex(40)}",
    "supabase service role": f"SUPABASE_SERVICE_ROLE_KEY={_m.jwt(role='service_role')}",
    "netlify token": f"NETLIFY_AUTH_TOKEN=nf{'p_'}{_m.alnum(36)}",
    "planetscale password": f"pscale_{'pw_'}{_m.url64(43)}",
    "tailscale key": f"tailscale up --authkey ts{'key-auth-'}{_m.alnum(17)}-{_m.alnum(32)}",
    "doppler token": f"dp{'.pt.'}{_m.alnum(43)}",
    "kubernetes secret": "kind: Secret\ndata:\n  password: "
    + base64.b64encode(b"q8#" + _m.alnum(12).encode()).decode(),
    "datadog key": f"DD_API_KEY={_m.hex(32)}",
    "sentry dsn with a secret": f"https://{_m.hex(32)}:{_m.hex(32)}@sentry.baobab.io/4",
    "grafana token": f"gl{'sa_'}{_m.alnum(32)}_{_m.hex(8)}",
    "new relic key": f"NR{'AK-'}{_m.upper(27)}",
    # Registries.
    "npm token in yaml": f"npmAuthToken: {_npm}",
    "pypi token in a command": f"twine upload -p py{'pi-'}AgEIcHlwaS5vcmc{_m.url64(140)} dist/*",
    "cargo login": f"cargo login ci{'o'}{_m.alnum(32)}",
    "docker organisation token": f"dckr_{'oat_'}{_m.url64(32)}",
    "docker config": '{"auths": {"r.io": {"auth": "'
    + base64.b64encode(f"ci:{_m.alnum(20)}".encode()).decode()
    + '"}}}',
    "netrc": f"machine files.baobab.io login ci password {_m.alnum(16)}",
    # Payment and messages.
    "stripe key encoded": base64.b64encode(_stripe.encode()).decode(),
    "stripe test key of an account": f"sk_{'test'}_51{_m.alnum(97)}",
    "square secret": f"sq{'0csp-'}{_m.url64(43)}",
    "paypal token": f"access_token${'production'}${_m.lower(16)}${_m.hex(32)}",
    "shopify token": f"sh{'pat_'}{_m.hex(32)}",
    "slack user token": f"xo{'xp-'}{_m.digits(12)}-{_m.digits(12)}-{_m.digits(12)}-{_m.hex(32)}",
    "slack webhook in toml": f'hook = "https://hooks.{"slack"}.com/services/'
    f'T{_m.upper(10)}/B{_m.upper(10)}/{_m.alnum(24)}"',
    "teams workflow": f"https://prod-12.westeurope.logic.azure.com/workflows/{_m.hex(32)}"
    f"/triggers/manual/paths/invoke?sp=%2Ftriggers&sig={_m.url64(43)}",
    "telegram token in code": f'Bot::new("{_m.digits(9)}:AA{_m.url64(33)}")',
    "twilio account": f'Twilio::new("A{"C"}{_m.hex(32)}", "{_m.hex(32)}")',
    "mailgun key": f"mailgun key-{_m.hex(32)}",
    "mailchimp key": f"{_m.hex(32)}-us14",
    "linear key": f"li{'n_api_'}{_m.alnum(40)}",
    "notion token": f"nt{'n_'}{_m.digits(11)}{_m.alnum(35)}",
    # Without a vendor.
    "token of a user": _m.jwt(sub="u-77", email="x"),
    "bearer in code": f'req.bearer_auth("{_m.alnum(36)}")',
    "api key in a query": f"https://api.baobab.io/v1?api_key={_m.alnum(32)}&page=2",
    "private key without a kind": _m.pem(""),
    "encrypted private key": _m.pem("ENCRYPTED", 2),
    "private key on one line": _m.pem("RSA", 2).replace("\n", "\\n"),
    "putty key": f"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{_m.base64(36)}",
    "wireguard key": f"[Interface]\nPrivateKey = {_m.base64(32)}",
    "jwk": f'{{"kty": "EC", "crv": "P-256", "d": "{_m.url64(43)}", "x": "{_m.url64(43)}"}}',
    # Assignments.
    "dotenv secret": f"APP_KEY=base64:{_m.base64(32)}",
    "lower case password": "db_password = " + "n3bula" + "-Quartz!88",
    "password in prose": "The password of the staging database is `" + "Vq7!" + "mXr2#Lp" + "`.",
    "yaml list": f"env:\n  - name: API_TOKEN\n    value: {_m.alnum(32)}",
    "xml": "<password>" + "kD9w" + "_Rz5!t" + "</password>",
    "sql": "CREATE USER app WITH PASSWORD '" + "Gh5&" + "kLw92xT" + "';",
    "ini": "[smtp]\nuser=mail\npass=" + "Jx82" + "mQpz71",
    "jdbc": "jdbc:sqlserver://db;user=sa;Password=" + "Wd9$" + "Lk2qZ8;",
    "static with type": f'static AUTH_TOKEN: Option<&\'static str> = Some("{_m.alnum(32)}");',
    "literal with a hash": f'let secret = r#"{_m.alnum(40)}"#;',
    "match arm": f'"prod" => ApiKey("{_m.alnum(32)}"),',
    "vec of bytes": f'let hmac_key = b"{_m.alnum(32)}".to_vec();',
    "unwrap or": f'env::var("AUTH_SECRET").unwrap_or("{_m.alnum(32)}".into())',
    "map": f'headers.insert("x-auth-token", "{_m.alnum(32)}".parse()?);',
    "german name": "Passwort: " + "Xk4!" + "zPw90L",
    "curl user": "curl -u admin:" + "Rk3x" + "!Zq81" + " https://ci.baobab.io",
    # Addresses with credentials.
    "mysql url": "mysql://root:" + "u7Yx2k" + "Lq@10.0.4.2/shop",
    "ftp url": "ftp://backup:" + "Wz81-" + "kdPq@files.baobab.io/",
    "smtp url": f"smtps://mailer:{_m.alnum(16)}@smtp.baobab.io:465",
    "proxy": "HTTPS_PROXY=http://proxy:" + "b4Kz9q" + "Wm@10.1.1.1:3128",
    "token in front of the host": f"https://{_m.alnum(40)}@git.baobab.io/x.git",
    "url in a local test": f"postgres://svc:{_m.alnum(22)}@localhost/test",
    # Encoded and joined.
    "plus over two lines": f'let key = "{_aws[:6]}"\n    + "{_aws[6:]}";',
    "python pieces": f'KEY = ("{_npm[:9]}"\n       "{_npm[9:]}")',
    "array of pieces": f'["sk_live", "_", "{_m.alnum(24)}"].concat()',
    "bytes in decimal": f"let raw = [{', '.join(str(b) for b in _npm.encode())}];",
    "bytes in hex": f"let raw = [{', '.join(hex(b) for b in _npm.encode())}];",
    "escapes": "".join(f"\\x{b:02x}" for b in _npm.encode()),
    "base64 in code": f'decode("{base64.urlsafe_b64encode(_npm.encode()).decode()}")',
    "percent": quote(f"token={_npm}&next", safe="").replace("_", "%5F"),
    # Personal data.
    "e-mail in a comment": f"// TODO({_mail}): remove",
    "e-mail encoded": f"mailto:{quote(_mail)}",
    "mastercard": f"pan={_m.card('5425', 16)}",
    "discover in groups": "Charge " + re.sub("(.{4})", r"\1 ", _m.card("6011", 16)),
    "french iban": f"IBAN : {_m.iban('FR', '30006000013344556677842')}",
    "phone of the united states": "Reach him at +1 415-" + "867-2309",
    "phone in brackets": "Phone: (415) " + "867-2309",
    "british mobile": "mobile +44 7911 " + "123987",
    "ssn in a record": '{"ssn": "612-' + '34-9981"}',
    "nie": f"NIE {_m.nie()}",
    "home on macos": "/Users/" + "pokonkwo/Library",
    "home on windows": "C:\\Users\\" + "pokonkwo\\AppData",
}
