#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The C library's exponential.
func exponential(_ value: Double) -> Double { exp(value) }

/// The C library's natural logarithm.
func naturalLogarithm(_ value: Double) -> Double { log(value) }
