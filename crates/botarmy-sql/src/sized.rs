//! Lists that end at a number of bytes.

/// Collects rows until their sizes reach `bytes`, with the row that reaches it. Each row comes with
/// its size.
///
/// # Errors
/// The error of the first row that could not be read.
pub fn within<T, E>(
    bytes: usize,
    rows: impl IntoIterator<Item = Result<(usize, T), E>>,
) -> Result<Vec<T>, E> {
    let (mut found, mut size) = (Vec::new(), 0_usize);
    for row in rows {
        let (row_size, row) = row?;
        found.push(row);
        size = size.saturating_add(row_size);
        if size >= bytes {
            break;
        }
    }
    Ok(found)
}

/// Returns the number of rows with these sizes until `bytes` are reached, with the row that reaches
/// it.
#[must_use]
pub fn fitting(bytes: usize, sizes: &[i32]) -> u32 {
    let sized = sizes.iter().map(|size| Ok::<_, std::convert::Infallible>((to_usize(*size), ())));
    let Ok(rows) = within(bytes, sized);
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

fn to_usize(size: i32) -> usize {
    usize::try_from(size).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_with_the_row_that_reaches_the_size() {
        for (sizes, expected) in [
            (vec![], 0),
            (vec![10], 1),
            (vec![99, 10], 1),
            (vec![3, 3, 3, 3, 3], 4),
            (vec![3, 3, 99, 3], 3),
            (vec![0, 0, 0], 3),
        ] {
            assert_eq!(fitting(10, &sizes), expected, "{sizes:?}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error_only_where_the_list_reaches_it() {
        let rows = || [Ok((6, 'a')), Ok((6, 'b')), Err("unreadable")];
        assert_eq!(within(10, rows()), Ok(vec!['a', 'b']));
        assert_eq!(within(13, rows()), Err("unreadable"));
    }
}
