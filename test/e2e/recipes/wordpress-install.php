<?php
// Installs WordPress into its empty database, with two users.
define('WP_INSTALLING', true);
$_SERVER += ['HTTP_HOST' => 'site.example', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1'];
function wp_mail() { return true; }
require '/usr/share/wordpress/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Site', 'ann', 'ann@site.example', false, '', 'right');
wp_create_user('bob', 'right', 'bob@site.example');
