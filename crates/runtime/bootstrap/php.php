<?php
// Runs a PHP handler as SCF does (scf.md 5.5), for PHP 5.6 and later.
//
// Started by the runtime with one private variable, COSETTE_BOOT. Talks to its host over the
// custom-runtime protocol on one connection. The user's file is loaded at the top level, below,
// so that its variables are global; ours are in a class.

final class CosetteBootstrap
{
    const SHOWN_ROOT = '/var/user/';

    public static $file;
    private static $boot;
    private static $function;
    private static $socket;
    // Where a fatal error has to be told; null when nobody waits.
    private static $path = null;
    private static $status;

    public static function open()
    {
        self::$boot = json_decode(getenv('COSETTE_BOOT'), true);
        putenv('COSETTE_BOOT');
        unset($_SERVER['COSETTE_BOOT'], $_ENV['COSETTE_BOOT']);
        self::$socket = stream_socket_client('tcp://' . self::$boot['address'] . ':' . self::$boot['port']);
        if (!self::$socket) {
            exit(1);
        }
        stream_set_timeout(self::$socket, 315360000);
        register_shutdown_function([__CLASS__, 'fatal']);
        self::$path = '/runtime/init/error';
        self::$status = 443;

        $root = self::$boot['code'];
        $handler = self::$boot['handler'];
        $dot = strrpos($handler, '.');
        $name = $dot ? substr($handler, 0, $dot) : '';
        self::$function = $dot ? substr($handler, $dot + 1) : '';
        if ($name === '' || self::$function === '') {
            self::end(437, "handler $handler is not of the form file.function");
        }
        self::$file = realpath("$root/$name.php");
        if (!self::$file || strpos(self::$file, "$root/") !== 0) {
            self::end(437, "handler $handler: there is no file $name.php");
        }
        chdir(dirname(self::$file));
        $folders = array_merge(['.', $root], self::$boot['layers'], [get_include_path()]);
        set_include_path(implode(PATH_SEPARATOR, $folders));
        $_SERVER['argv'] = $GLOBALS['argv'] = [self::$file];
    }

    // What the user's file threw while it was loaded.
    public static function unloadable($error)
    {
        self::end(443, $error->getMessage(), self::stack($error));
    }

    private static function end($status, $message, $stack = null)
    {
        self::fail('/runtime/init/error', $status, $message, $stack);
        exit(1);
    }

    public static function serve()
    {
        if (!is_callable(self::$function)) {
            $file = basename(self::$file);
            self::end(437, 'handler ' . self::$boot['handler'] . ": $file has no function " . self::$function);
        }
        self::$path = null;
        self::call('POST', '/runtime/init/ready', ' ');
        self::$status = 430;
        while (true) {
            list($headers, $event) = self::call('GET', '/runtime/invocation/next');
            foreach (explode(';', self::$boot['context']['environ']) as $pair) {
                putenv($pair);
            }
            if (isset($headers['x-cosette-trigger-src'])) {
                $source = $headers['x-cosette-trigger-src'];
                putenv($source === '' ? 'TRIGGER_SRC' : "TRIGGER_SRC=$source");
            }
            $context = self::$boot['context'];
            $context['request_id'] = $headers['request_id'];
            $context['memory_limit_in_mb'] = (int) $headers['memory_limit_in_mb'];
            $context['time_limit_in_ms'] = (int) $headers['time_limit_in_ms'];
            self::$path = '/runtime/invocation/error';
            try {
                $value = call_user_func(self::$function, json_decode($event), (object) $context);
                $result = json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
                if ($result === false) {
                    throw new UnexpectedValueException('the result is no JSON: ' . json_last_error_msg());
                }
            } catch (Exception $error) {
                self::caught($error);
                continue;
            } catch (Throwable $error) {
                self::caught($error);
                continue;
            }
            self::flush();
            if (strlen($result) > self::$boot['result_bytes_max']) {
                self::fail(self::$path, 407, 'body size is too long');
            } else {
                self::call('POST', '/runtime/invocation/response', $result);
            }
            self::$path = null;
        }
    }

    private static function caught($error)
    {
        self::flush();
        self::fail(self::$path, 430, 'user code exception caught', self::stack($error));
        self::$path = null;
    }

    // An error that nothing can catch has ended the script; `exit` has none, and is seen as the process's end.
    public static function fatal()
    {
        $error = error_get_last();
        $kinds = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
        if (self::$path === null || !$error || !($error['type'] & $kinds)) {
            return;
        }
        $stack = self::shown($error['message'] . ' in ' . $error['file'] . ':' . $error['line']);
        $message = self::$status === 443 ? $error['message'] : 'user code exception caught';
        self::fail(self::$path, self::$status, self::shown($message), $stack);
    }

    private static function flush()
    {
        while (ob_get_level() > 0) {
            ob_end_flush();
        }
        flush();
    }

    // As PHP prints it, without our own frames, and with the cloud's paths.
    private static function stack($error)
    {
        $text = get_class($error) . ': ' . $error->getMessage() . ' in ' . $error->getFile() . ':' . $error->getLine();
        $lines = [];
        foreach (explode("\n", $error->getTraceAsString()) as $line) {
            if (strpos($line, __FILE__) !== false) {
                break;
            }
            $lines[] = $line;
        }
        // The handler itself, which is called from no file.
        if ($lines && strpos(end($lines), '[internal function]') !== false) {
            array_pop($lines);
        }
        if ($lines && strpos(end($lines), '{main}') !== false) {
            array_pop($lines);
        }
        $lines[] = '#' . count($lines) . ' {main}';
        return self::shown($text . "\nStack trace:\n" . implode("\n", $lines));
    }

    private static function shown($text)
    {
        return str_replace(self::$boot['code'] . '/', self::SHOWN_ROOT, $text);
    }

    private static function fail($path, $status, $message, $stack = null)
    {
        $document = ['errorCode' => -1, 'errorMessage' => $message];
        if ($stack !== null) {
            $document['stackTrace'] = $stack;
        }
        $text = json_encode($document, defined('JSON_INVALID_UTF8_SUBSTITUTE') ? JSON_INVALID_UTF8_SUBSTITUTE : 0);
        if ($text === false) {
            $text = json_encode(['errorCode' => -1, 'errorMessage' => utf8_encode($message)]);
        }
        self::call('POST', $path, $text, $status);
    }

    private static function call($method, $path, $body = '', $status = null)
    {
        $head = "$method $path HTTP/1.1\r\nhost: " . self::$boot['address'] . ':' . self::$boot['port']
            . "\r\nx-cosette-secret: " . self::$boot['secret'] . "\r\ncontent-length: " . strlen($body)
            . ($status === null ? '' : "\r\nx-cosette-status: $status") . "\r\n\r\n";
        $data = $head . $body;
        while ($data !== '') {
            $written = @fwrite(self::$socket, $data);
            if (!$written) {
                self::gone();
            }
            $data = (string) substr($data, $written);
        }
        $headers = [];
        if (fgets(self::$socket) === false) {
            self::gone();
        }
        while (($line = fgets(self::$socket)) !== false && rtrim($line) !== '') {
            list($name, $value) = explode(':', $line, 2);
            $headers[strtolower($name)] = trim($value);
        }
        $size = isset($headers['content-length']) ? (int) $headers['content-length'] : 0;
        $body = $size > 0 ? stream_get_contents(self::$socket, $size) : '';
        if (strlen((string) $body) < $size) {
            self::gone();
        }
        return [$headers, (string) $body];
    }

    // The host has gone: there is nobody to tell.
    private static function gone()
    {
        self::$path = null;
        exit(1);
    }
}

CosetteBootstrap::open();
try {
    require_once CosetteBootstrap::$file;
} catch (Exception $error) {
    CosetteBootstrap::unloadable($error);
} catch (Throwable $error) {
    CosetteBootstrap::unloadable($error);
}
CosetteBootstrap::serve();
