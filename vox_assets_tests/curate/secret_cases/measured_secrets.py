"""Made-up secrets, written before the detection and only measured."""

from __future__ import annotations

import base64
from urllib.parse import quote

from vox_assets_tests.curate.secret_cases.made_up import MadeUp

_m = MadeUp(20_261)
_azure = _m.base64(64)
_slack = f"T0{_m.upper(8)}/B0{_m.upper(8)}/{_m.alnum(24)}"
_aws_id, _aws_secret = "AKIA" + _m.upper(16), _m.base64(30)
_github = "gh" + "p_" + _m.alnum(36)
_pair = base64.b64encode(f"deployer:{_m.alnum(18)}".encode()).decode()
_mail = "marta.kowalczyk" + "@" + "fjordline-logistics.no"

SECRETS = {
    # Providers of models.
    "openai project key": f'let client = Client::new("sk-{"proj"}-{_m.url64(120)}");',
    "openai service account key": f"OPENAI_API_KEY=sk-{'svcacct'}-{_m.url64(90)}",
    "openai old key": f'openai.api_key = "s{"k"}-{_m.alnum(48)}"',
    "anthropic key": f"export ANTHROPIC_API_KEY=sk-{'ant'}-api03-{_m.url64(93)}AA",
    "anthropic oauth token": f"the login stores sk-{'ant'}-oat01-{_m.url64(93)}AA in the file",
    "hugging face token": f"huggingface-cli login --token h{'f_'}{_m.letters(34)}",
    "hugging face token in code": f'let hub = Hub::with_token("h{"f_"}{_m.letters(34)}");',
    "groq key": f"Set `gs{'k_'}{_m.alnum(52)}` in the console.",
    "google api key": f"https://maps.example.com/js?key=AI{'za'}Sy{_m.url64(33)}",
    "mistral key": f'MISTRAL_API_KEY="{_m.alnum(32)}"',
    "cohere key": f'co = cohere.Client(api_key="{_m.alnum(40)}")',
    "replicate token": f"REPLICATE_API_TOKEN=r{'8_'}{_m.alnum(37)}",
    "xai key": f"xa{'i-'}{_m.alnum(80)}",
    "openrouter key": f'"apiKey": "sk-{"or"}-v1-{_m.hex(64)}"',
    "perplexity key": f"key: pp{'lx-'}{_m.alnum(48)}",
    "deepseek key": f"DEEPSEEK_API_KEY=s{'k'}-{_m.hex(32)}",
    "nvidia key": f'nim.set_key("nv{"api-"}{_m.url64(64)}");',
    "langsmith key": f"LANGCHAIN_API_KEY=ls{'v2_'}pt_{_m.hex(32)}_{_m.hex(10)}",
    "pinecone key": f"pc{'sk_'}{_m.alnum(6)}_{_m.alnum(60)}",
    "together key": f"TOGETHER_API_KEY: {_m.hex(64)}",
    # Forges.
    "github personal token": f"git clone https://{_github}@github.com/fjord/tools",
    "github server token": f'"Authorization": "token gh{"s_"}{_m.alnum(36)}"',
    "github oauth token": f"token=gh{'o_'}{_m.alnum(36)}",
    "github fine grained token": f"gh auth: github_{'pat'}_{_m.alnum(22)}_{_m.alnum(59)}",
    "gitlab token": f"PRIVATE-TOKEN: gl{'pat-'}{_m.url64(20)}",
    "gitlab runner token": f"gitlab-runner register --token gl{'rt-'}{_m.url64(20)}",
    "gitea token": f"GITEA_TOKEN={_m.hex(40)}",
    "bitbucket app password": f"git push https://dora:AT{'BB'}{_m.alnum(32)}@bitbucket.org/f/t",
    # Clouds.
    "aws pair": f"aws_access_key_id = {_aws_id}\naws_secret_access_key = {_aws_secret}",
    "aws session key": f'let id = "AS{"IA"}{_m.upper(16)}";',
    "aws secret alone": f'.secret_access_key("{_m.base64(30)}")',
    "azure storage": f"DefaultEndpointsProtocol=https;AccountName=fjord;AccountKey={_azure};",
    "azure sas": f"https://fjord.blob.core.windows.net/c?sv=2024-05-04&sig={quote(_m.base64(32))}",
    "azure client secret": f'client_secret: "{_m.alnum(3)}8Q~{_m.alnum(34)}"',
    "google service account": '{"type": "service_account", "private_key": "'
    + _m.pem("").replace("\n", "\\n")
    + '"}',
    "google oauth secret": f"GOC{'SPX-'}{_m.url64(28)}",
    "digitalocean token": f"doctl auth init -t do{'p_v1_'}{_m.hex(64)}",
    "cloudflare token": f"CLOUDFLARE_API_TOKEN={_m.url64(40)}",
    "fly token": f"FLY_API_TOKEN='Fly{'V1'} fm{'2_'}{_m.base64(120)}'",
    "vercel token": f"vercel deploy --token {_m.alnum(24)}",
    "heroku key": f"HEROKU_API_KEY={_m.uuid()}",
    "supabase secret key": f'createClient(url, "sb_{"secret"}_{_m.url64(31)}")',
    "vault token": f"VAULT_TOKEN=hv{'s.'}{_m.url64(95)}",
    "databricks token": f"host = ...\ntoken = da{'pi'}{_m.hex(32)}",
    "terraform token": f'credentials "app.terraform.io" {{ token = "{_m.alnum(14)}.atlasv1.'
    f'{_m.url64(66)}" }}',
    # Registries.
    "npm token": f"//registry.npmjs.org/:_authToken=np{'m_'}{_m.alnum(36)}",
    "pypi token": f"password = py{'pi-'}AgEIcHlwaS5vcmc{_m.url64(120)}",
    "crates.io token": f'[registry]\ntoken = "ci{"o"}{_m.alnum(32)}"',
    "rubygems key": f":rubygems_api_key: ruby{'gems_'}{_m.hex(48)}",
    "nuget key": f"dotnet nuget push a.nupkg -k oy{'2'}{_m.lower(43)}",
    "docker token": f"docker login -u fjord -p dckr_{'pat_'}{_m.url64(27)}",
    # Payment and messages.
    "stripe live key": f'Stripe::new("sk_{"live"}_{_m.alnum(24)}")',
    "stripe restricted key": f"STRIPE=rk_{'live'}_{_m.alnum(40)}",
    "stripe webhook secret": f"whs{'ec_'}{_m.alnum(32)}",
    "square token": f'access_token="EA{"AA"}{_m.url64(60)}"',
    "slack bot token": f"xo{'xb-'}{_m.digits(12)}-{_m.digits(13)}-{_m.alnum(24)}",
    "slack app token": f"SLACK_APP_TOKEN=xa{'pp-'}1-A{_m.upper(10)}-{_m.digits(13)}-{_m.hex(64)}",
    "slack webhook": f"curl -X POST https://hooks.{'slack'}.com/services/{_slack}",
    "discord webhook": f"https://discord.{'com/api'}/webhooks/{_m.digits(18)}/{_m.url64(68)}",
    "discord bot token": f'bot.login("MT{_m.alnum(24)}.{_m.alnum(6)}.{_m.url64(38)}")',
    "teams webhook": f"https://fjord.webhook.{'office'}.com/webhookb2/{_m.uuid()}@{_m.uuid()}"
    f"/IncomingWebhook/{_m.hex(32)}/{_m.uuid()}",
    "telegram token": f"https://api.telegram.org/bot{_m.digits(10)}:AA{_m.url64(33)}/getMe",
    "twilio key": f"TWILIO_SID=S{'K'}{_m.hex(32)}",
    "twilio auth token": f"twilio_auth_token: {_m.hex(32)}",
    "sendgrid key": f"S{'G.'}{_m.url64(22)}.{_m.url64(43)}",
    # Tokens and keys without a vendor.
    "json web token": f"Cookie: session={_m.jwt()}",
    "bearer header": f"Authorization: Bearer {_m.alnum(40)}",
    "basic header": f"Authorization: Basic {_pair}",
    "x-api-key header": f"curl -H 'X-Api-Key: {_m.alnum(32)}' https://api.fjordline.no",
    "rsa private key": _m.pem("RSA"),
    "openssh private key": f"{_m.pem('OPENSSH')}\n",
    "ec private key in a Rust string": f'const PEM: &str = r#"{_m.pem("EC", 2)}"#;',
    "pgp private key": f"-----BEGIN PGP {'PRIVATE'} KEY BLOCK-----\n\nlQVYB{_m.base64(45)}\n",
    "age key": f"AGE-SECRET-{'KEY'}-1{_m.bech32(58)}",
    # Assignments.
    "dotenv password": "POSTGRES_PASSWORD=" + "vK9" + "#mQ2xLp7w",
    "yaml password": "database:\n  user: svc\n  password: " + "Tr7" + "gh-Wq93-kZ\n",
    "shell export": f"export SESSION_SECRET='{_m.alnum(44)}'",
    "rust constant": f'pub const SIGNING_SECRET: &[u8] = b"{_m.alnum(32)}";',
    "toml key": f'[auth]\njwt_secret = "{_m.base64(32)}"',
    "json client secret": f'{{"client_id": "web", "client_secret": "{_m.alnum(36)}"}}',
    "python default": f'token = os.getenv("DEPLOY_TOKEN", "{_m.alnum(28)}")',
    "yaml hex key": f"encryption_key: {_m.hex(64)}",
    "flag": f"backup --passphrase={_m.alnum(20)} /srv",
    "struct field": f'Config {{ api_key: "{_m.alnum(32)}".to_string(), retries: 3 }}',
    "tuple in a list": f'params.push(("access_token", "{_m.alnum(30)}"));',
    # Addresses with credentials.
    "postgres url": "postgres://billing:" + _m.alnum(14) + "@db.fjordline.no:5432/ledger",
    "redis url": f"redis://:{_m.alnum(24)}@cache.fjordline.no:6379/0",
    "https url": f"https://ci:{_m.alnum(20)}@nexus.fjordline.no/repo",
    "mongodb url": "mongodb+srv://app:" + "hT5x-9Lw2Qz" + "@cluster0.ab1cd.mongodb.net/db",
    "amqp url": f"amqps://worker:{quote(_m.base64(12))}@mq.fjordline.no/vhost",
    # Constructors and setters.
    "secret string": f'SecretString::new("{_m.alnum(26)}".into())',
    "password setter": '.password("' + "Zw4!" + 'rTq8_Lm")',
    "with api key": f'builder.with_api_key("{_m.alnum(32)}")',
    "set token": f'client.set_token(String::from("{_m.alnum(40)}"));',
    "set var": f'std::env::set_var("API_KEY", "{_m.alnum(32)}");',
    "basic auth": f'.basic_auth("deploy", Some("{_m.alnum(18)}"))',
    # Encoded and joined.
    "joined with plus": f'let t = "gh{"p_"}".to_owned() + "{_m.alnum(36)}";',
    "concat": f'const T: &str = concat!("xox", "b-{_m.digits(12)}-", "{_m.digits(12)}-'
    f'{_m.alnum(24)}");',
    "base64 of a key": base64.b64encode(f"token: {_github}".encode()).decode(),
    "hex of a key": f"let raw = hex!({_github.encode().hex()!r});",
    "url-encoded": f"redirect=https%3A%2F%2Fci%3A{_m.alnum(20)}%40git.fjordline.no%2Fx",
    # Personal data.
    "e-mail": f"Ask {_mail} for access.",
    "e-mail in a manifest": f'authors = ["Marta Kowalczyk <{_mail}>"]',
    "visa card": f'"card": "{_m.card("4929", 16)}"',
    "amex card": f"Card number {_m.card('3714', 15)}, expires 09/27",
    "iban": f"Pay to {_m.iban('DE', '500105175407324931')}.",
    "iban in groups": " ".join(
        (_n := _m.iban("NL", "RABO0301478924"))[i : i + 4] for i in range(0, 18, 4)
    ),
    "phone": "Call me at +49 " + "151 23456781" + ".",
    "phone in france": "tel: +33 6 " + "12 47 83 59",
    "ssn": "SSN: 536-" + "22-8726",
    "german tax id": f"Steuer-ID {_m.tax_id_de()}",
    "spanish dni": f"DNI: {_m.dni()}",
    "french nir": f"numéro de sécurité sociale {_m.nir()}",
    "uk nino": "National Insurance number: JG" + " 10 37 59 " + "A",
    "italian tax code": f"codice fiscale {_m.codice_fiscale()}",
    "home directory": "/home/" + "mkowalczyk/src/tools",
}
