<?php
// An origin that may not run for long: it sends what is new, a few events, and ends; the client comes back for more with
// the id of the last one.
//
//   php -S 127.0.0.1:9000 events.php
header('Content-Type: text/event-stream');
header('Cache-Control: no-cache');

$last = (int) ($_SERVER['HTTP_LAST_EVENT_ID'] ?? 0);
for ($id = $last + 1; $id <= $last + 3; $id++) {
    echo "id: $id\ndata: row $id\n\n";
    ob_get_level() > 0 && ob_flush();
    flush();
    usleep(50_000);
}
