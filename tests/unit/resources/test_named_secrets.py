"""What stands under a secret name in a text goes, in each form in which people write that; sentences stay."""

from __future__ import annotations

import traceback
from time import process_time_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core._resources import _secrets
from hush.core._resources._fields import end_of_field
from hush.core._resources._named import _may_name_some, without_named_secrets
from hush.core.extend import is_secret_name, remember_secrets
from kit.tiers import by_day

SECRET = [
    # Headers.
    (
        "X-Api-Key: A | password: B | Authorization: Token C | Cookie: session=D",
        ["A ", "B ", "Token", "C ", "session", "D"],
    ),
    ("curl -H 'X-Api-Key: abc' -H \"Authorization: Bearer xyz\" https://h", ["abc", "xyz"]),
    ("x-api-key:abc", ["abc"]),
    ("Ocp-Apim-Subscription-Key: 0abc", ["0abc"]),
    ("authorization: abc Cookie: s=def", ["abc", "def"]),
    ("Authorization: Basic abc", ["Basic", "abc"]),
    ('Proxy-Authorization: Digest username="ada", realm="r", response="66ab"', ["ada", "66ab"]),
    ("Cookie: a=abc; b=def next", ["abc", "def"]),
    ('Set-Cookie: a="abc"; b=def', ["abc", "def"]),
    ("[(b'x-api-key', b'abc'), ('authorization', 'Token def')]", ["abc", "def"]),
    ("headers={'Cookie': 'a=abc; b=def'}", ["abc", "def"]),
    ("call(cookie=a=abc; b=def)", ["abc", "def"]),
    ("api_key=abc=defg==&x=1", ["abc", "defg"]),
    # YAML, and what is cut off.
    ("db:\n  password: abc\n  user: ada", ["abc"]),
    ("password:    abc", ["abc"]),
    ("password: 'abc def'", ["abc", "def"]),
    ('- token: "abc', ["abc"]),
    ("password: |\n  abc", ["abc"]),
    ("password: !vault abc", ["abc"]),
    ("db:\n  password: |\n    abc\n    def\n\n    ghi\n  user: ada", ["abc", "def", "ghi"]),
    ("password: >-\n  abc\n  def", ["abc", "def"]),
    ("db:\n  password: abc def ghi  # of all\n  user: ada", ["abc", "def", "ghi"]),
    ("user: ada\napi_key: abc, def", ["abc", "def"]),
    ("- secret: abc def\n- user: ada", ["abc", "def"]),
    ("passphrase: correct horse battery, at", ["correct", "battery"]),
    ("{password: abc, user: ada}", ["abc"]),
    ("password: #-(!", ["#-(!"]),
    ("pwd: abc; PGPASSWORD: def; my-otp: 123456; pin: 1234", ["abc", "def", "123456", "1234"]),
    # JSON.
    ('{"pin": 1234, "otp":123456, "token": abc}', ["1234", "123456", "abc"]),
    ('{"body": "{\\"password\\": \\"abc\\"}"}', ["abc"]),
    ('{"password": "abc', ["abc"]),
    ('{"password":"abc","user":"ada"}', ["abc"]),
    # In sentences.
    ("login failed with wrong password: hunter", ["hunter"]),
    ("your token: ghp_16C7e42F is expired", ["ghp_16C7e42F"]),
    ("Invalid API key: abcd1234efgh", ["abcd1234efgh"]),
    ("Invalid token: eyJhbGciOi.eyJzdWIi.abc, retry", ["eyJ"]),
    ("credentials: ada:hunter2", ["hunter2"]),
    ("jwt: eyJhbGciOiJIUzI1NiJ9 signature: 9f86d081884c7d65", ["eyJ", "9f86"]),
    ('PASSWORD: str = "hunter"', ["hunter"]),
    # Several in brackets.
    ("{'api_key': ['hunter', 'x y'], 'user': 'ada'}", ["hunter", "x y"]),
    ('{"passwords": ["abc", "def]"]}', ["abc", "def"]),
    ("{'password': ('abc',)}", ["abc"]),
    ("password={'value': 'abc'}", ["abc"]),
    ("{'api_keys': {'a': {'b': b'abc'}}}", ["abc"]),
    ("api_key: ['abc', \"def\"]", ["abc", "def"]),
    ("password=('abc', [", ["abc"]),
    ("{'api_key': ['abc", ["abc"]),
    (f"{{'api_keys': {[f'abc{one:040}' for one in range(99)]}}}", ["abc", "00"]),
    (r"{\"api_key\": [\"abc\"]}", ["abc"]),
    # In brackets, without quotes.
    ("{'api_key': [hunter], 'user': ['ada']}", ["hunter"]),
    ("{'token': [ab12cd34, hunter]}", ["ab12cd34", "hunter"]),
    ("api_keys: [hunter, x3, swordfish]", ["hunter", "x3", "swordfish"]),
    ("password=[hunter swordfish]", ["hunter", "swordfish"]),
    # Apart from their names.
    ("Command '['mysql', '--password', 'hunter 2', '-u', 'ada']' returned non-zero", ["hunter 2"]),
    ("Command 'mysql --password hunter -u ada' returned non-zero exit status 1.", ["hunter"]),
    ("curl --api-key  'hunter 2' --auth-token swordfish https://h", ["hunter 2", "swordfish"]),
    ("<soap:user>ada</soap:user><wsse:Password Type='x'>hunter 2</wsse:Password>", ["hunter 2"]),
    ('<add key="ApiKey" value="hunter 2"/>', ["hunter 2"]),
    ("[{'name': 'DB_PASSWORD', 'value': 'hunter 2'}, {'name': 'USER', 'value': 'ada'}]", ["hunter 2"]),
    ('{"key":"x-api-key","value":"hunter"}', ["hunter"]),
    ("env:\n- name: API_KEY\n  value: hunter\n", ["hunter"]),
    ("Header(name=b'authorization', value=b'hunter')", ["hunter"]),
    # In braces, as ODBC has it, and what only begins as a placeholder does.
    ("DRIVER={ODBC Driver 18};UID=u;PWD={hunter2};Encrypt=yes", ["hunter2"]),
    ("Server=db;User Id=sa;Password=My Secret Pw!;Database=shop", ["My", "Secret", "Pw"]),
    ("uid=sa; pwd=a b; app=shop", ["a b"]),
    ("api_key=${hunter2Xy99z}", ["hunter2"]),
    ("password='{x} hunter2'", ["hunter2"]),
    ("password='%s hunter2'", ["hunter2"]),
    ("password={hunter2Xy99z}", ["hunter2"]),
    # With a long name, with blanks, with a prefix, in three quotes, compared.
    (f"{'SPRING_' * 12}PASSWORD=abcd", ["abcd"]),
    ("password     = 'abc'", ["abc"]),
    ("[auth]\npassword   = abcd\ntoken      : abcd1", ["abcd"]),
    ("password=f'abc' token=Rb'def'", ["abc", "def"]),
    ('password = """abc"def"""', ["abc", "def"]),
    ("AssertionError: assert token == 'abc1234'", ["abc1234"]),
    ("password != 'hunter'", ["hunter"]),
    ("password := abcd; password += 'efgh'", ["abcd", "efgh"]),
    # As pydantic has it.
    (
        "1 error for Login\npassword\n  Too long [type=string_too_long, input_value='hunter', input_type=str]\n    For",
        ["hunter"],
    ),
    ("  | db.pin\n  |   Value error, [a] [type=value_error, input_value=1234, input_type=int]", ["1234"]),
    ("api_keys.0\n  Bad [type=bad, input_value=b'a, b', input_type=bytes]", ["a, b"]),
]
HARMLESS = [
    "Unexpected token: }",
    "Unexpected token: ;, expected }",
    "unexpected token: identifier",
    "invalid token: expected ,",
    "invalid_token: The access token expired",
    "password: must be longer than 8 characters",
    "password: a number is missing",
    "api_key: field required",
    "access_token: it is too short",
    "Authorization: header is missing",
    "cookie: not found",
    "max_tokens: 100, token_count: 512",
    "def f(password: str, token: str | None = None)",
    "token: Optional[str]",
    "{'token': <class 'str'>, 'password': None, 'secret': SecretStr('**********')}",
    "password: ****",
    "password: {password}",
    "password: [secret]",
    "auth: login failed for ada",
    "auth: 401 Unauthorized",
    "AuthError: refused",
    "google.auth.exceptions.DefaultCredentialsError: Your default credentials were not found",
    "jwt.exceptions.InvalidTokenError: Not enough segments",
    "itsdangerous.exc.BadSignature: Signature b'abc' does not match",
    "Invalid API key: check your settings",
    "could not read token: https://idp.example.com/v1/token",
    "http://auth-service:8080/token: refused, auth.example.com:443",
    "secrets.yaml:3:5: no such key",
    "tokens/token.go:55: arn:aws:secretsmanager:us-east-1:1:secret:name-a1B2c3",
    "the pin: GPIO17",
    'getenv("API_KEY", "dummy")',
    "password:\nTraceback",
    "KeyError: 'account'",
    'llm:gpt: {type: openai, api_key: ${OPENAI_API_KEY}, secret_key: "${KEY}"}',
    "password='[secret]', token=%(token)s",
    "('api_key', 'token', 'auth')",
    "api_key=${API_KEY_2}, password={user}",
    "Unexpected token: ['a'], token=[], secret: (none), password: (it's too short)",
    "Secret: my-app-prod not found",
    "token: 'foo' is unexpected",
    "assert token == 'end'",
    "user\n  Bad [type=bad, input_value='ada', input_type=str]",
    "password\n  Field required [type=missing, input_value={'user': 'ada'}, input_type=dict]",
    "password\n  Bad [type=string_type, input_value=None, input_type=NoneType]",
    "errors:\n  password: must be longer than 8 characters\n  email: is missing",
    "unexpected token: |\n  a | b\n    ^",
    "{'api_key': [str], 'tokens': [many], 'token': [name], 'token_ids': [101, 2054]}",
    "usage: x [--password PASSWORD] [--api-key API_KEY] [--token-file FILE]",
    "the option --password is required; use --token instead of --api-key",
    "argument --password: expected one argument; --token, --secret and more; run with --token $TOKEN",
    "['--password', '--user', 'ada'] <password></password> <password>${word}</password>",
    "{'name': 'user', 'value': 'ada'}, {'name': 'password', 'type': 'str', 'value': ''}",
    "it failed; token=abc, and more",
    "list<token>, map<secret, x>; <author>ada</author>",
]
CODE = [
    'raise RuntimeError("... X-Api-Key: abc | password: abc | Authorization: Token abc | Cookie: session=abc")',
    "raise RuntimeError('password=abcdef')",
    'headers["X-Api-Key"] = "abc"',
    'headers = [("x-api-key", "abc"), ("Cookie", "abc")]',
    'PASSWORD: str = "abc"',
    'settings = {"password": "abc", "pin": 1234}',
    "password     = r'abc'",
    "password = ('abc'",
    "auth = ('ada', 'abc')",
    "password = '''abc'''",
    "run(['mysql', '--password', 'abc'])",
    "if password == 'abcd' or token != 'abc123':",
    "password = f'abcd{x}'",
]
HARMLESS_CODE = [
    "    token: str = given",
    "def f(password: str, token: Token = default):",
    "if not token: return password",
    'log(f"password: {password}, token={token}")',
    '"password=" + password + "&token=" + token',
    '{"password": password, "token": self.token, "auth": (user, word)}',
    "tail = tokens[token:end]",
    "token = self.read(text[-1:], kind)",
    "last_token = text[-1:]",
    "names = ['start_token', 'max_items', 'end']",
    'if kind in ("token", "name"):',
    'token = (find("a") or self.tokens["b"])',
    'log(f"password={password_2}, token={token2.value}")',
    'auth = f"{user}:{word}"',
    'while token == "(" or token != "name":',
    "if (token := self.next_token):",
    'run(["mysql", "--password", password])',
    'Pair(name="token", value=token)',
]


@pytest.mark.parametrize(("text", "secrets"), SECRET)
def test_what_stands_under_a_secret_name_goes(text, secrets):
    found = without_named_secrets(text)
    assert "[secret]" in found
    assert not [one for one in secrets if one in found]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_speaks_of_one_stays(text):
    assert without_named_secrets(text) == text


@pytest.mark.parametrize("text", CODE)
def test_a_line_of_source_has_none_in_its_texts(text):
    found = without_named_secrets(text, code=True)
    assert "abc" not in found
    assert "1234" not in found


@pytest.mark.parametrize("text", HARMLESS_CODE)
def test_a_line_of_source_keeps_its_annotations_and_names(text):
    assert without_named_secrets(text, code=True) == text


def test_the_rest_of_a_text_stays():
    text = "POST https://h/a: X-Api-Key: abc, Accept: json; password: 'x y' (401), Cookie: a=b; c=d is refused"
    assert without_named_secrets(text) == (
        "POST https://h/a: X-Api-Key: [secret], Accept: json; password: [secret] (401), Cookie: [secret] is refused"
    )


def test_a_bracket_that_nobody_closes_takes_no_more_than_its_texts():
    assert without_named_secrets(f"password=['abc', ['def'{'.' * 1_000} 'x'") == f"password=[secret]{'.' * 1_000} 'x'"
    assert without_named_secrets("password=['abc' and more") == "password=[secret] and more"


def test_lines_of_source_in_a_traceback_are_read_as_source():
    def refuse(token: str) -> None:
        raise RuntimeError("X-Api-Key: abc") if (password := token) else ValueError(password)

    try:
        refuse("x")
    except RuntimeError as error:
        whole = ExceptionGroup("several", [error])
        for text in ("".join(traceback.format_exception(error)), "".join(traceback.format_exception(whole))):
            assert "abc" in text
            assert without_named_secrets(text) == text.replace("abc", "[secret]")


@pytest.fixture
def forgetting(monkeypatch) -> None:
    """What a test remembers is no secret afterwards."""
    monkeypatch.setattr(_secrets, "_remembered", _secrets._remembered.copy())


@pytest.mark.usefixtures("forgetting")
def test_a_secret_that_is_known_by_value_goes_as_a_whole():
    """Its beginning alone, which its name tells, would leave a rest that nobody finds."""
    remember_secrets(["correct horse battery"])
    assert without_named_secrets("password: correct horse battery!") == "password: [secret]!"
    assert without_named_secrets("password: sk-abc$def") == "password: [secret]"


NAMES = ["X-Api-Key", "password", "db_password", "clientSecret", "ACCESS_TOKEN", "pwd", "Authorization", "my.api_key"]
FORMS = ["{}: {}", "{}:{}", "  {}: {}\n", "- {}: '{}'", '{}: "{}"', "| {}: {} |", "({}: {})", '"{}": "{}"', "{}='{}'"]
FORMS += ["{}={}", "{{{}: {}}}", "failed with {}: {}.", "('{}', '{}')", "['{}'] = '{}'"]
VALUES = st.text("abcXYZ0189+/=_-.~", min_size=8, max_size=40).filter(lambda text: text[0].isalnum() and "0" in text)
AROUND = st.sampled_from(["", "it is so; ", "a\nb\n", "a: b, ", '{"a": 1} ', "x=1 | "])


@given(st.sampled_from(NAMES), st.sampled_from(FORMS), VALUES, AROUND)
def test_whatever_form_and_name_no_part_of_a_value_stays(name, form, value, around):
    found = without_named_secrets(around + form.format(name, value) + " and more")
    assert value[:8] not in found
    assert value.strip("=.~-_/+")[-6:] not in found
    assert found.endswith("more")
    assert found.startswith(around)


WORDS = ["must", "be", "longer", "than", "found", "}", ",", "expected", "the", "line", "of", "it", "(", "'if'"]


@given(
    st.sampled_from(["Unexpected token", "bad signature", "no auth", "the secret"]), st.lists(st.sampled_from(WORDS))
)
def test_a_sentence_is_left_alone(begin, words):
    text = f"{begin}: {' '.join(words)}"
    assert without_named_secrets(text) == text


PIECES = ["password", "token", "Authorization", "Cookie", "auth", "a", "API key", ":", "=", ": ", " ", '"', "'", "\\"]
PIECES += ["[secret]", "(", "{", "b'", ";", ",", "abc123", "=> ", "|", "!x ", "must", "str", "\n"]
PIECES += [
    '  File "a", line 1\n    ',
    "[",
    "]",
    ")",
    "}",
    "==",
    "f'",
    "${",
    '"""',
    "pin\n  [type=x, input_value=",
    "is",
    "--token ",
    "|\n  ",
    ">\n ",
    "<pwd>",
    "</",
    "name: 'token', 'value': ",
    "key=pin value=",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_what_has_been_cleaned_stays_as_it_is(text):
    found = without_named_secrets(text)
    assert without_named_secrets(found) == found


@given(st.lists(st.sampled_from(["api", "Key", "KEYS", "my", "Token", "pin", "PWD", "_", "-", "auth", "shared"])))
def test_the_quick_look_misses_no_name(words):
    name = "".join(words)
    assert _may_name_some(f"{name}: x") or not is_secret_name(name)


HOSTILE = [
    *("password={", "token=f(", "token:", "token: ", "auth:aaa;", "x token: '"),
    *("token='", 'token="\\', "token=\\'", "('token',", "token\t", "Cookie: a;"),
    *("Cookie: \"a'", "Authorization: a ", 'Authorization: a="', "Authorization: a=b,", "pwd: ", "key "),
    *("password", "-", ".", "'", "\\", " "),
    *("\t", "(", "\n", "token: !", "token: |\n", "token: a["),
    *("token: a|", "token: a | ", "x pin: 1", 'File "', '  File "a", line 1\n    token="', "passphrase: a "),
    *("token=[", "token=['", "token: [", "token=[],", "token   ", "token == '"),
    *('token="""', "token={x", "token=${", "token: x ", "pin\n  [type=x", "pin\n  [type=x, input_value="),
    *("[type=a", " |", "basic Zm9v", "bearer is", "?akey=a", "bearer of,"),
    *("token=[{", "token=((('a", "token=[('', ", "token=['' ()", "token=[\"'token'=[\", ", "token=f'{"),
    *("--password ", "--password x ", "--password', ", "<password>", "<password>a", "<password a"),
    *("name: token\n value: ", "'name': 'token', 'value': ", "password: >\n ", "x token: |\n ", "a:\n"),
    *("password: a\n", "password: |\n a\n", "api_key: [a ", "api_key: [a,", "token: [abc123 ", "'token': [a"),
    *(";token=a", ";token=", "\npassword: a  ", "eyJaaaaa.", "eyJaaaaa-"),
    *("basic ", "?token", "://a:", "-----BEGIN ", "auth: 'a\\"),
]


def cost_ns(text: str, code: bool) -> int:
    began_ns = process_time_ns()
    without_named_secrets(text, code=code)
    return process_time_ns() - began_ns


@pytest.mark.parametrize("code", [False, True])
@pytest.mark.parametrize("piece", by_day(HOSTILE, 0, *range(1, len(HOSTILE), 3)))
def test_a_text_of_eight_times_the_length_takes_nothing_like_its_square(piece, code):
    """Regular expressions cannot be counted, so processor time is: 8 times, where the square is 64."""

    def texts(length: int) -> list[str]:
        much = piece * (length // len(piece))
        return [much, f"token{much} token: x", f"'{piece * 9}" * (length // (9 * len(piece))), f"token='{much}"]

    for short, long in zip(texts(3_000), texts(24_000), strict=True):
        least_ns = max(cost_ns(short, code), 3_000_000)
        assert any(cost_ns(long, code) < 30 * least_ns for _ in range(3))


def test_a_value_is_judged_by_its_beginning():
    assert end_of_field("auth:" + "a" * 10_000, 0, "auth", 5) == 5
