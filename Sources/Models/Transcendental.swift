#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The C library's natural logarithm.
func logDouble(_ value: Double) -> Double { log(value) }

/// The C library's exponential.
func expDouble(_ value: Double) -> Double { exp(value) }
