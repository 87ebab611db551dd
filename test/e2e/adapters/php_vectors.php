<?php
// Runs the shared vectors through examples/adapters/php/sessiongate.php; prints what it accepted and emitted as JSON.
require $argv[2];

$vectors = json_decode(file_get_contents($argv[1]));
$assertions = $patches = [];
foreach ($vectors->assertions as $vector) {
    try {
        $claims = Sessiongate\verify($vector->token, (array) $vectors->secrets, $vectors->audience);
        $assertions[$vector->id] = ['ok' => true, 'data' => $claims->data];
    } catch (Sessiongate\Refused) {
        $assertions[$vector->id] = ['ok' => false];
    }
}
foreach ($vectors->patches as $vector) {
    $after = json_decode(json_encode($vector->after), true);
    [$patch, $control] = Sessiongate\difference($vector->before, $after, $vector->cleared);
    $patches[$vector->id] = ['patch' => $patch === null ? null : Sessiongate\text($patch), 'control' => $control];
}
echo json_encode(['assertions' => (object) $assertions, 'patches' => (object) $patches]);
