<?php
// The adapters' common small app, in plain PHP: nothing here knows of sessiongate.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path !== '/session') {
    echo 'ok';  // before the session changes, as many an old page does
}
if (!@session_start($path === '/remember' ? ['cookie_lifetime' => 1200] : [])) {
    http_response_code(403);
    exit('no session');
}
switch ($path) {
    case '/session':
        echo json_encode((object) $_SESSION);
        break;
    case '/set':
        $_SESSION[$_GET['name']] = json_decode($_GET['value'], true);
        break;
    case '/drop':
        unset($_SESSION[$_GET['name']]);
        break;
    case '/visit':
        $_SESSION['user']['visits']++;
        break;
    case '/login':
        session_regenerate_id(true);
        $_SESSION['user'] = ['id' => $_GET['user'], 'visits' => 0];
        break;
    case '/restart':
        session_destroy();
        session_start();
        $_SESSION = ['fresh' => true];
        break;
    case '/keep-old':
        session_regenerate_id();
        $_SESSION['fresh'] = true;
        break;
    case '/twice':
        $_SESSION['first'] = true;
        session_write_close();
        session_start();
        $_SESSION['second'] = $_SESSION['first'];
        break;
    case '/unset':
        session_unset();
        break;
    case '/logout':
        session_destroy();
        break;
}
