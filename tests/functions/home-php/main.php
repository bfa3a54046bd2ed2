<?php
// The curl extension, which the SDKs of PHP use; speaks the custom runtime's protocol.

function call($method, $url, $body = null)
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [CURLOPT_CUSTOMREQUEST => $method, CURLOPT_RETURNTRANSFER => true]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
    }
    $text = curl_exec($curl);
    return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $text, curl_error($curl)];
}

$host = 'http://' . getenv('SCF_RUNTIME_API') . ':' . getenv('SCF_RUNTIME_API_PORT') . '/runtime/';
call('POST', $host . 'init/ready', ' ');
while (true) {
    $event = json_decode(call('GET', $host . 'invocation/next')[1]);
    call('POST', $host . 'invocation/response', json_encode(array_map(fn ($url) => call('GET', $url), $event)));
}
