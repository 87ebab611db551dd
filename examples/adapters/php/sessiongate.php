<?php
/*
 * PHP sessions from sessiongate: prepend this file, and $_SESSION works unchanged.
 *
 *   auto_prepend_file = /path/to/sessiongate.php          ; php.ini, .user.ini, pool or virtual host (or require it first)
 *   SESSIONGATE_SECRETS  = {"a1": "the secret"}           ; environment: key id -> secret, as in the gateway's keys.assertion
 *   SESSIONGATE_AUDIENCE = app                            ; environment: this upstream's name there
 *
 * session_start(), session_regenerate_id(), session_destroy(), session_unset() and the setting session.cookie_lifetime keep
 * their meaning (session_set_cookie_params() has none without PHP's own cookie), but the data lives in the gateway: it arrives in
 * X-Session-Assertion, and what differs when the head is sent leaves in X-Session-Patch. No PHPSESSID, no files, no lock. Output
 * is held back up to 1 MiB so that pages may change the session after they began to print; a change after that is logged and lost.
 *
 * $_SESSION holds what JSON can carry: scalars, null and arrays. An object in it is an error, never silently dropped. Needs
 * PHP 8.1 or newer with its standard extensions. For keys that are not HS256, define sessiongate_verify(string $token): object
 * (see examples/verify/php) before this file; it throws for what is not to be believed. An app that calls
 * header_register_callback() itself must call Sessiongate\emit() there.
 */
namespace Sessiongate;

/** The assertion is not one the gateway made for us, now. */
final class Refused extends \RuntimeException
{
}

/** The claims of a compact JWS; Refused unless HS256 by one of $secrets (by key id), for $audience, and not expired. */
function verify(string $token, array $secrets, string $audience): object
{
    if (!preg_match('/^([\w-]+)\.([\w-]+)\.([\w-]+)$/D', $token, $part)) {
        throw new Refused('form');
    }
    $header = jsonObject($part[1]);
    if (($header->alg ?? null) !== 'HS256' || ($header->typ ?? null) !== 'session+jwt' || property_exists($header, 'crit')) {
        throw new Refused('algorithm, type or critical header');
    }
    $secret = is_string($header->kid ?? null) ? $secrets[$header->kid] ?? null : null;
    if (!is_string($secret)) {
        throw new Refused('key');
    }
    $mac = hash_hmac('sha256', "$part[1].$part[2]", $secret, true);
    if (!hash_equals(rtrim(strtr(base64_encode($mac), '+/', '-_'), '='), $part[3])) {
        throw new Refused('signature');
    }
    return checkClaims(jsonObject($part[2]), $audience);
}

/** $claims when they are for $audience, not expired and carry data; else Refused. */
function checkClaims(object $claims, string $audience): object
{
    if (($claims->aud ?? null) !== $audience) {
        throw new Refused('audience');
    }
    $expires = $claims->exp ?? null;
    if (!(is_int($expires) || is_float($expires)) || $expires <= time()) {
        throw new Refused('expired');
    }
    if (!is_object($claims->data ?? null)) {
        throw new Refused('data');
    }
    return $claims;
}

function jsonObject(string $segment): object
{
    $value = json_decode((string) base64_decode(strtr($segment, '-_', '+/'), true));
    return is_object($value) ? $value : throw new Refused('form');
}

/**
 * [patch or null, directives] by which the gateway turns $before into $after. $before is decoded JSON with objects as objects,
 * so that an empty array in its place is known to be an object emptied; $after is what PHP holds.
 */
function difference(object $before, array $after, bool $cleared = false): array
{
    $had = (array) $before !== [];
    if ($cleared && $had) {
        return $after === [] ? [null, ['destroy']] : [(object) $after, ['replace']];
    }
    try {
        $patch = mergePatch($before, $after);
        return [(array) $patch === [] ? null : $patch, []];
    } catch (NeedsNull) {
        return [(object) $after, ['replace']];
    }
}

/** A merge patch (RFC 7396) has no way to set a member to null. */
final class NeedsNull extends \Exception
{
}

function mergePatch(object $before, array $after): object
{
    $old = (array) $before;
    $patch = [];
    foreach (array_diff_key($old, $after) as $name => $_gone) {
        $patch[$name] = null;
    }
    foreach ($after as $name => $value) {
        if (array_key_exists($name, $old) && is_object($old[$name]) && is_array($value) && staysObject($old[$name], $value)) {
            $nested = mergePatch($old[$name], $value);
            if ((array) $nested !== []) {
                $patch[$name] = $nested;
            }
        } elseif (!array_key_exists($name, $old) || canonical($old[$name]) !== canonical($value)) {
            refuseNull($value);
            $patch[$name] = $value;
        }
    }
    return (object) $patch;
}

/** PHP has one array for lists and maps: what was an object stays one unless it became a list of other keys. */
function staysObject(object $old, array $value): bool
{
    return $value === [] || !array_is_list($value) || array_is_list((array) $old);
}

function refuseNull(mixed $value): void
{
    if ($value === null) {
        throw new NeedsNull();
    }
    if (is_object($value) || (is_array($value) && !array_is_list($value))) {
        foreach ((array) $value as $member) {
            refuseNull($member);
        }
    }
}

/** One text for equal values, whatever the order of their members. */
function canonical(mixed $value): string
{
    $sort = static function (mixed $value) use (&$sort): mixed {
        if (!is_array($value) && !is_object($value)) {
            return $value;
        }
        $members = array_map($sort, (array) $value);
        if (!array_is_list($members)) {
            ksort($members, SORT_STRING);
        }
        return $members;
    };
    return text($sort($value));
}

/** JSON in printable ASCII, as a header can carry it. */
function text(mixed $value): string
{
    return str_replace("\x7f", '\u007f', json_encode($value, JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR));
}

/** The session of this request as PHP's session module wants it. `read` and `write` speak the php_serialize format. */
final class Handler implements \SessionHandlerInterface, \SessionIdInterface
{
    private bool $opened = false;
    private bool $cleared = false;
    private bool $rotated = false;
    private bool $lasting = false;
    private ?array $after = null;

    public function __construct(private readonly object $claims)
    {
    }

    public function open(string $path, string $name): bool
    {
        return true;
    }

    public function create_sid(): string
    {
        $this->rotated = $this->rotated || $this->opened;
        return bin2hex(random_bytes(16));
    }

    public function read(string $id): string
    {
        $this->opened = true;
        if ($this->cleared) {
            return serialize([]);
        }
        return serialize($this->after ?? json_decode(json_encode($this->claims->data), true));
    }

    public function write(string $id, string $data): bool
    {
        $this->lasting = (int) ini_get('session.cookie_lifetime') > 0;
        $this->after = $data === '' ? [] : (array) unserialize($data, ['allowed_classes' => false]);
        array_walk_recursive($this->after, static function (mixed $value): void {
            if (is_object($value)) {
                throw new \UnexpectedValueException('$_SESSION holds an object; sessiongate carries scalars, null and arrays only');
            }
        });
        return true;
    }

    /** session_destroy(); session_regenerate_id(true) comes here as well, but goes on with the same data. */
    public function destroy(string $id): bool
    {
        if ((debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 2)[1]['function'] ?? '') !== 'session_regenerate_id') {
            $this->cleared = true;
            $this->after = [];
        }
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    public function gc(int $max_lifetime): int|false
    {
        return 0;
    }

    /** [patch or null, directives]; nothing when the page did not use the session. */
    public function changes(): array
    {
        if ($this->after === null) {
            return [null, []];
        }
        $before = $this->claims->data;
        [$patch, $control] = difference($before, $this->after, $this->cleared);
        if ($control !== ['destroy'] && ((array) $before !== [] || $this->after !== [])) {
            if ($this->rotated) {
                $control[] = 'rotate';
            }
            if ($this->lasting && !($this->claims->permanent ?? false)) {
                $control[] = 'permanent';
            }
        }
        return [$patch, $control];
    }
}

/** Tells the gateway what changed. Runs by itself when PHP is about to send the head. */
function emit(): void
{
    $handler = $GLOBALS['sessiongate'] ?? null;
    if (!$handler instanceof Handler) {
        return;
    }
    $GLOBALS['sessiongate'] = null;
    if (session_status() === PHP_SESSION_ACTIVE) {
        session_write_close();
    }
    [$patch, $control] = $handler->changes();
    $prefix = getenv('SESSIONGATE_PREFIX') ?: 'X-Session-';
    if ($patch !== null) {
        header($prefix . 'Patch: ' . text($patch));
    }
    if ($control !== []) {
        header($prefix . 'Control: ' . implode(', ', $control));
    }
    $sent = $_SESSION ?? [];
    register_shutdown_function(static function () use ($sent): void {
        if (($_SESSION ?? []) !== $sent) {
            error_log('sessiongate: the session was changed after the head had left; that change is lost');
        }
    });
}

/** Takes the place of PHP's own session storage for this request. */
function install(): void
{
    foreach (['use_cookies' => '0', 'use_trans_sid' => '0', 'use_strict_mode' => '0', 'cache_limiter' => '', 'serialize_handler' => 'php_serialize', 'lazy_write' => '0', 'gc_probability' => '0'] as $name => $value) {
        ini_set("session.$name", $value);
    }
    $prefix = strtoupper(strtr(getenv('SESSIONGATE_PREFIX') ?: 'X-Session-', '-', '_'));
    $secrets = json_decode((string) getenv('SESSIONGATE_SECRETS'), true);
    $token = $_SERVER["HTTP_{$prefix}ASSERTION"] ?? '';
    try {
        $claims = function_exists('sessiongate_verify')
            ? \sessiongate_verify($token)
            : verify($token, is_array($secrets) ? $secrets : [], (string) getenv('SESSIONGATE_AUDIENCE'));
    } catch (\Exception $problem) {
        error_log('sessiongate: no session, assertion refused: ' . $problem->getMessage());
        $claims = null;
    }
    session_set_save_handler($claims ? $GLOBALS['sessiongate'] = new Handler($claims) : new NoSession(), false);
    if (isset($claims->sid)) {
        session_id(substr(hash('sha256', $claims->sid), 0, 32));
    }
    ob_start(null, 1 << 20);
    header_register_callback(emit(...));
}

/** A request that did not come through the gateway: session_start() fails, and says so in the log. */
final class NoSession extends \SessionHandler
{
    public function open(string $path, string $name): bool
    {
        return false;
    }

    public function close(): bool
    {
        return true;
    }
}

if (PHP_SAPI !== 'cli' && !defined('SESSIONGATE_NO_INSTALL')) {
    install();
}
