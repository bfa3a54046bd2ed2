<?php
// A function that ends in every way there is.

if (getenv('FAIL') === 'init') {
    throw new RuntimeException('cannot begin');
}
if (getenv('FAIL') === 'wait') {
    sleep(600);
}

$calls = 0;

function tell($event, $context)
{
    global $calls;
    $told = get_object_vars($context);
    $told['environment'] = json_decode($context->environment);
    return $told + [
        'calls' => $calls,
        'text' => $event->text,
        'directory' => getcwd(),
        'room' => disk_total_space('/tmp'),
        'variables' => array_map(null, array_keys(getenv()), array_values(getenv())),
    ];
}

function start($before)
{
    exec("$before sleep 600 >/dev/null 2>&1 & echo \$!", $lines);
    return $lines[0];
}

function main_handler($event, $context)
{
    global $calls;
    $calls++;
    switch ($event->do) {
        case 'tell':
            return tell($event, $context);
        case 'print':
            echo "to standard output\n";
            fwrite(STDERR, "to standard error\n");
            return null;
        case 'large':
            return str_repeat('x', $event->size);
        case 'throw':
            throw new DomainException('thrown on purpose');
        case 'bytes':
            return "\xff";
        case 'undefined':
            return no_such_function();
        case 'fatal':
            eval('class Twice {} class Twice {}');
            return null;
        case 'hang':
            file_put_contents($event->pids, getmypid() . ' ' . start('') . ' ' . start('setsid'));
            while (true) {
                sleep(600);
            }
        case 'memory':
            $kept = [];
            while (true) {
                $kept[] = str_repeat('x', 1 << 20);
            }
        case 'exit':
            echo "leaving\n";
            die(7);
    }
}
