package com.qcloud.scf.runtime;

/** For functions whose package does not bring the interface along; what it has is that of scf-java-events. */
public interface Context {
    String getRequestId();

    int getTimeLimitInMs();

    int getMemoryLimitInMb();
}
