<?php
// What runs on SCF, as it is: the official SDK, the services' own host names, and the keys of the environment.
require __DIR__ . '/vendor/autoload.php';

function main_handler($event, $context)
{
    $region = getenv('TENCENTCLOUD_REGION');
    $cos = new Qcloud\Cos\Client([
        'region' => $region,
        'scheme' => 'https',
        'credentials' => [
            'secretId' => getenv('TENCENTCLOUD_SECRETID'),
            'secretKey' => getenv('TENCENTCLOUD_SECRETKEY'),
            'token' => getenv('TENCENTCLOUD_SESSIONTOKEN'),
        ],
    ]);
    $record = $event->Records[0]->cos;
    $source = $record->cosBucket->name . '-' . $record->cosBucket->appid;
    $key = explode('/', $record->cosObject->key, 4)[3];
    $target = getenv('TARGET');

    $body = (string) $cos->getObject(['Bucket' => $source, 'Key' => $key])['Body'];
    // More than a part.
    $cos->upload($target, 'large', str_repeat('0123456789abcdef', 100000), ['PartSize' => 1 << 20]);
    $cos->copy($target, 'copies/large', ['Region' => $region, 'Bucket' => $target, 'Key' => 'large']);
    $listed = array_map(fn ($one) => [$one['Key'], (int) $one['Size']], $cos->listObjects(['Bucket' => $target])['Contents']);
    try {
        $cos->headObject(['Bucket' => $target, 'Key' => 'absent']);
    } catch (Qcloud\Cos\Exception\ServiceResponseException $error) {
        $absent = $error->getStatusCode();
    }
    $http = new GuzzleHttp\Client(['http_errors' => false]);
    $answer = [
        'body' => strtoupper($body),
        'listed' => $listed,
        'absent' => $absent,
        'signed' => (string) $http->get($cos->getObjectUrl($source, $key, '+10 minutes'))->getBody(),
        'bare' => $http->get("https://$source.cos.$region.myqcloud.com/")->getStatusCode(),
    ];
    $cos->putObject(['Bucket' => $target, 'Key' => $key, 'Body' => json_encode($answer)]);
}
