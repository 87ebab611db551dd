<?php
// A PHP app with PHP's own session and a token against CSRF in it. It knows nothing of a gateway.
session_start();
$_SESSION['token'] ??= bin2hex(random_bytes(16));
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$isPost = $_SERVER['REQUEST_METHOD'] === 'POST';
if ($isPost && ($_POST['token'] ?? '') !== $_SESSION['token']) {
    http_response_code(403);
    exit('token');
}
switch ($path) {
    case '/whoami': exit($_SESSION['user'] ?? 'nobody');
    case '/count': exit((string) ($_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1));
    case '/cookies': exit(implode(' ', array_keys($_COOKIE)));
    case '/login':
        if (!$isPost) exit($_SESSION['token']);
        if ($_POST['password'] !== 'right') exit('wrong');
        session_regenerate_id(true);
        $_SESSION['user'] = $_POST['user'];
        exit('ok');
    case '/logout':                                    // as the manual of session_destroy() says
        $_SESSION = [];
        setcookie(session_name(), '', time() - 42000, session_get_cookie_params()['path']);
        session_destroy();
        exit('bye');
}
